/* Overlays. Every layer is opened first and named to the kernel by its descriptor's number, relative to /proc/self/fd: no path needs
 * escaping, hundreds of layers fit into one page of options, and no directory can be swapped in between. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

enum { OVERLAY_TARGET, OVERLAY_UPPER, OVERLAY_WORK, OVERLAY_OPTIONS, OVERLAY_LOWERS };
enum { OPTION_BYTES = 4096 }; /* mount(2) copies one page */
enum { MAX_LAYERS = 512 };    /* the kernel takes 500 lower directories */

struct options {
  char text[OPTION_BYTES];
  size_t length;
  int layers[MAX_LAYERS]; /* open until the mount is made */
  size_t layer_count;
};

must_check static int append(struct options *options, const char *text) {
  size_t length = strlen(text);

  if (options->length + length >= sizeof options->text) {
    errno = E2BIG;
    return -1;
  }
  memcpy(options->text + options->length, text, length + 1);
  options->length += length;
  return 0;
}

/* Open a layer and append `prefix` and its number. */
static int append_layer(struct options *options, const char *prefix, const char *path, struct failure *failure) {
  char text[32];
  int descriptor = -1;

  errno = E2BIG;
  if (options->layer_count < MAX_LAYERS)
    descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return fail(failure, path);
  options->layers[options->layer_count++] = descriptor;
  snprintf(text, sizeof text, "%s%d", prefix, descriptor);
  return append(options, text) < 0 ? fail(failure, path) : 0;
}

static int append_all(struct options *options, const struct step *step, struct failure *failure) {
  for (uint32_t index = OVERLAY_LOWERS; index < step->string_count; index++)
    if (append_layer(options, index == OVERLAY_LOWERS ? "lowerdir=" : ":", text_of(step, index), failure) < 0)
      return -1;
  if (step->strings[OVERLAY_UPPER].length > 0 &&
      (append_layer(options, ",upperdir=", text_of(step, OVERLAY_UPPER), failure) < 0 ||
       append_layer(options, ",workdir=", text_of(step, OVERLAY_WORK), failure) < 0))
    return -1;
  if (step->strings[OVERLAY_OPTIONS].length > 0 &&
      (append(options, ",") < 0 || append(options, text_of(step, OVERLAY_OPTIONS)) < 0))
    return fail(failure, text_of(step, OVERLAY_OPTIONS));
  return 0;
}

static unsigned long mount_flags(uint64_t attributes) {
  static const struct {
    uint64_t attribute;
    unsigned long flag;
  } pairs[] = {
      {ATTRIBUTE_READ_ONLY, MS_RDONLY}, {ATTRIBUTE_NOSUID, MS_NOSUID},           {ATTRIBUTE_NODEV, MS_NODEV},
      {ATTRIBUTE_NOEXEC, MS_NOEXEC},    {ATTRIBUTE_NOATIME, MS_NOATIME},         {ATTRIBUTE_STRICTATIME, MS_STRICTATIME},
      {ATTRIBUTE_NODIRATIME, MS_NODIRATIME},
  };
  unsigned long flags = 0;

  for (size_t index = 0; index < sizeof pairs / sizeof *pairs; index++)
    if ((attributes & pairs[index].attribute) != 0)
      flags |= pairs[index].flag;
  return flags;
}

static int mount_layers(struct options *options, const struct step *step, int target, struct failure *failure) {
  char number[16];

  if (append_all(options, step, failure) < 0)
    return -1;
  snprintf(number, sizeof number, "%d", target);
  if (mount("overlay", number, "overlay", mount_flags(step->integers[0]), options->text) < 0)
    return fail(failure, text_of(step, OVERLAY_TARGET));
  return 0;
}

static int mount_overlay(const struct execution *execution, const struct step *step, int target, struct failure *failure) {
  struct options options = {.length = 0};
  auto_close int descriptors = openat(execution->proc, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result;

  if (descriptors < 0 || !is_on(descriptors, PROC_SUPER_MAGIC) || fchdir(descriptors) < 0)
    return fail(failure, "/proc/self/fd");
  result = mount_layers(&options, step, target, failure);
  for (size_t index = 0; index < options.layer_count; index++)
    close_quietly(&options.layers[index]);
  if (chdir("/") < 0 && result == 0)
    return fail(failure, "/");
  return result;
}

int step_overlay(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, OVERLAY_TARGET);
  bool in_root = step->integers[1] == 1;
  auto_close int target = -1;

  if (in_root && execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  target = in_root ? open_target(execution->root, path, true, failure) : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target < 0)
    return in_root ? -1 : fail(failure, path);
  return mount_overlay(execution, step, target, failure);
}
