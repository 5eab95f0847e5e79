/* Mounts in the container. A mount is made detached, given its attributes, and then put on its target by descriptor: at no moment is it
 * visible without its attributes, and no path is looked up twice. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "execution.h"
#include "system_calls.h"

enum { MOUNT_CREATE_TARGET = 1 };
enum { BIND_RECURSIVE = 1, BIND_SOURCE_IN_ROOT = 2, BIND_CREATE_TARGET = 4, BIND_SOURCE_MAY_BE_MISSING = 8 };
enum { NULL_MAJOR = 1, NULL_MINOR = 3 };

/* One "key=value" or "flag" out of mount data; `\,` stands for a comma. Returns what follows it. */
static const char *next_option(const char *data, char option[PATH_MAX]) {
  size_t length = 0;

  for (; *data != '\0' && *data != ','; data++) {
    if (data[0] == '\\' && data[1] == ',')
      data++;
    if (length < PATH_MAX - 1)
      option[length++] = *data;
  }
  option[length] = '\0';
  return *data == ',' ? data + 1 : data;
}

static int configure(int filesystem, const char *source, const char *data, struct failure *failure) {
  char option[PATH_MAX];

  if (source[0] != '\0' && configure_filesystem(filesystem, SETTING_STRING, "source", source) < 0)
    return fail(failure, source);
  while (*data != '\0') {
    char *value;

    data = next_option(data, option);
    value = strchr(option, '=');
    if (option[0] == '\0')
      continue;
    if (value == NULL ? configure_filesystem(filesystem, SETTING_FLAG, option, NULL) < 0
                      : (*value = '\0', configure_filesystem(filesystem, SETTING_STRING, option, value + 1)) < 0)
      return fail(failure, option);
  }
  return 0;
}

/* `propagation` is MS_PRIVATE and its like, with MS_REC for the mounts below as well; 0 leaves it. */
static int set_propagation(int tree, uint64_t propagation) {
  struct mount_attributes attributes = {.propagation = propagation & ~(uint64_t)MS_REC};
  unsigned depth = (propagation & MS_REC) != 0 ? AT_RECURSIVE : 0;

  return attributes.propagation == 0 ? 0 : set_mount_attributes(tree, "", depth, &attributes);
}

/* proc and sysfs go onto a real directory only: through a link, what is written to /proc later would land somewhere else
 * (CVE-2019-19921). */
static int attach_kernel_files(const struct execution *execution, int tree, const char *path, bool create, struct failure *failure) {
  auto_close int made = create && execution->root >= 0 ? open_target(execution->root, path, true, failure) : -1;
  auto_close int target = -1;

  if (execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  if (create && made < 0)
    return -1;
  target = open_resolved(execution->root, path, O_PATH | O_DIRECTORY, 0, RESOLVE_INSIDE | RESOLVE_WITHOUT_LINKS);
  return target < 0 || move_mount_onto(tree, target) < 0 ? fail(failure, path) : 0;
}

int step_mount(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *type = text_of(step, 0), *target = text_of(step, 2);
  bool create = (step->integers[2] & MOUNT_CREATE_TARGET) != 0;
  auto_close int filesystem = open_filesystem(type);
  auto_close int tree = -1;

  if (filesystem < 0)
    return fail(failure, type);
  if (configure(filesystem, text_of(step, 1), text_of(step, 3), failure) < 0)
    return -1;
  if (configure_filesystem(filesystem, SETTING_CREATE, NULL, NULL) < 0)
    return fail(failure, target);
  tree = make_mount(filesystem, (unsigned)step->integers[0]);
  if (tree < 0 || set_propagation(tree, step->integers[1]) < 0)
    return fail(failure, target);
  if (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0)
    return attach_kernel_files(execution, tree, target, create, failure);
  return attach_tree(execution, tree, target, create, true, failure);
}

/* A detached copy of what `source` names. */
static int copy_tree(const struct execution *execution, const char *source, uint64_t flags) {
  unsigned how = OPEN_TREE_CLONE | ((flags & BIND_RECURSIVE) != 0 ? AT_RECURSIVE : 0);
  auto_close int inside = -1;

  if ((flags & BIND_SOURCE_IN_ROOT) == 0)
    return open_tree_at(AT_FDCWD, source, how);
  inside = open_in_root(execution->root, source, O_PATH, 0);
  return inside < 0 ? -1 : open_tree_at(inside, "", how);
}

static int set_bind_attributes(int tree, const struct step *step) {
  struct mount_attributes top = {.set = step->integers[1], .clear = step->integers[2]};
  struct mount_attributes all = {.set = step->integers[3], .clear = step->integers[4]};

  if ((all.set | all.clear) != 0 && set_mount_attributes(tree, "", AT_RECURSIVE, &all) < 0)
    return -1;
  if ((top.set | top.clear) != 0 && set_mount_attributes(tree, "", 0, &top) < 0)
    return -1;
  return set_propagation(tree, step->integers[5]);
}

int step_bind(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *source = text_of(step, 0), *target = text_of(step, 1);
  uint64_t flags = step->integers[0];
  bool create = (flags & BIND_CREATE_TARGET) != 0;
  auto_close int tree = copy_tree(execution, source, flags);
  struct stat status;

  if (tree < 0 && errno == ENOENT && (flags & BIND_SOURCE_MAY_BE_MISSING) != 0)
    return 0;
  if (tree < 0 || fstat(tree, &status) < 0 || set_bind_attributes(tree, step) < 0)
    return fail(failure, source);
  return attach_tree(execution, tree, target, create, S_ISDIR(status.st_mode), failure);
}

int step_bind_device(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *source = text_of(step, 0), *target = text_of(step, 1);
  auto_close int tree = open_tree_at(AT_FDCWD, source, OPEN_TREE_CLONE);
  struct stat status;

  if (tree < 0 || fstat(tree, &status) < 0)
    return fail(failure, source);
  if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
    return fail_with(failure, ENODEV, source);
  return attach_tree(execution, tree, target, true, false, failure);
}

/* A detached mount of /dev/null, known to be that by its number: a container can put anything in that place. Read-only, which for a device
 * is about the node alone: it may be the machine's, and without a user namespace the container's root could chmod it. */
static int null_mount(const struct execution *execution) {
  const struct mount_attributes attributes = {.set = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NOSUID | ATTRIBUTE_NOEXEC};
  auto_close int device = -1;
  auto_close int tree = -1;

  device = execution->pivoted ? open_in_root(execution->root, "/dev/null", O_PATH, 0) : open("/dev/null", O_PATH | O_CLOEXEC);
  if (device < 0 || check_character_device(device, NULL_MAJOR, NULL_MINOR) < 0)
    return -1;
  tree = open_tree_at(device, "", OPEN_TREE_CLONE);
  if (tree < 0 || set_mount_attributes(tree, "", 0, &attributes) < 0)
    return -1;
  return take_descriptor(&tree);
}

static int empty_mount(void) {
  auto_close int filesystem = open_filesystem("tmpfs");

  if (filesystem < 0 || configure_filesystem(filesystem, SETTING_STRING, "source", "tmpfs") < 0 ||
      configure_filesystem(filesystem, SETTING_STRING, "size", "0k") < 0 ||
      configure_filesystem(filesystem, SETTING_STRING, "mode", "755") < 0 ||
      configure_filesystem(filesystem, SETTING_CREATE, NULL, NULL) < 0)
    return -1;
  return make_mount(filesystem, ATTRIBUTE_READ_ONLY | ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV | ATTRIBUTE_NOEXEC);
}

int step_mask(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);
  auto_close int root = open_current_root(execution, failure);
  auto_close int target = -1;
  auto_close int cover = -1;
  struct stat status;

  if (root < 0)
    return -1;
  target = open_in_root(root, path, O_PATH, 0);
  if (target < 0)
    return errno == ENOENT ? 0 : fail(failure, path);
  if (fstat(target, &status) < 0)
    return fail(failure, path);
  cover = S_ISDIR(status.st_mode) ? empty_mount() : null_mount(execution);
  if (cover < 0)
    return fail(failure, S_ISDIR(status.st_mode) ? path : "/dev/null");
  return move_mount_onto(cover, target) < 0 ? fail(failure, path) : 0;
}

int step_readonly_path(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);
  struct mount_attributes attributes = {.set = ATTRIBUTE_READ_ONLY};
  auto_close int root = open_current_root(execution, failure);
  auto_close int target = -1;
  auto_close int tree = -1;

  if (root < 0)
    return -1;
  target = open_in_root(root, path, O_PATH, 0);
  if (target < 0)
    return errno == ENOENT ? 0 : fail(failure, path);
  tree = open_tree_at(target, "", OPEN_TREE_CLONE | AT_RECURSIVE);
  if (tree < 0 || set_mount_attributes(tree, "", AT_RECURSIVE, &attributes) < 0 || move_mount_onto(tree, target) < 0)
    return fail(failure, path);
  return 0;
}
