/* The step `untar`: a layer's tar stream becomes files below the target directory. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "launch.h"
#include "untar.h"

static bool begins_with(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Names that begin with ".wh." speak of other files. 0: the member is to be made, 1: to be left out, -1: refused. */
static int check_names(struct untar *untar, struct failure *failure) {
  const char *path = buffer_text(&untar->path), *name = untar_name(untar), *rest = name + strlen(WHITEOUT_PREFIX);

  for (const char *part = path; part < name; part = strchr(part, '/') + 1) {
    if (begins_with(part, WHITEOUT_META_PREFIX))
      return 1; /* aufs kept its own files there; docker leaves them out as well */
    if (begins_with(part, WHITEOUT_PREFIX))
      return fail_because(failure, EINVAL, path, "it lies below a whiteout");
  }
  if (!begins_with(name, WHITEOUT_PREFIX) || strcmp(name, WHITEOUT_OPAQUE) == 0)
    return 0;
  if (begins_with(name, WHITEOUT_META_PREFIX))
    return 1;
  if (rest[0] == '\0' || strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0)
    return fail_because(failure, EINVAL, path, "a whiteout that names no file");
  return 0;
}

static int extract_member(struct untar *untar, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  const char *raw = buffer_text(&member->path), *reason = untar_clean(&member->path, &untar->path);
  int answer;

  if (reason != NULL)
    return fail_because(failure, EINVAL, raw, reason);
  if (untar->path.length == 0 && member->type != TAR_DIRECTORY)
    return fail_because(failure, EINVAL, raw, "it would replace the root directory");
  if (untar->reader.members > untar->member_limit)
    return fail_because(failure, E2BIG, raw, "the layer has too many members");
  answer = check_names(untar, failure);
  if (answer != 0)
    return answer < 0 ? -1 : 0;
  if (untar_enter_parent(untar, failure) < 0)
    return -1;
  if (begins_with(untar_name(untar), WHITEOUT_PREFIX))
    return untar_make_whiteout(untar, untar_name(untar), failure);
  return untar_make_entry(untar, failure);
}

static int extract_members(struct untar *untar, struct failure *failure) {
  int more;

  while ((more = tar_next(&untar->reader, failure)) > 0)
    if (extract_member(untar, failure) < 0)
      return -1;
  if (more < 0 || untar_finish_directories(untar, failure) < 0)
    return -1;
  if ((untar->flags & UNTAR_DURABLE) != 0 && syncfs(untar->target) < 0)
    return fail(failure, "flushing the layer to disk");
  return 0;
}

/* What the caller gets to know: one line a fact, "name number". */
static int send_counts(const struct untar *untar, struct failure *failure) {
  char text[256];
  int length = snprintf(text, sizeof text,
                        "files %" PRIu64 "\nbytes %" PRIu64 "\nsquashed %" PRIu64 "\nskipped_devices %" PRIu64 "\nskipped_attributes %" PRIu64 "\n",
                        untar->files, untar->bytes, untar->squashed, untar->skipped_devices, untar->skipped_attributes);

  return control_send(DESCRIPTOR_CONTROL, 'R', text, (size_t)length) < 0 ? fail(failure, "the result") : 0;
}

int step_untar(const struct step *step, struct failure *failure) {
  const char *target = step->strings[0].bytes;
  struct untar untar = {.target = open_directory(AT_FDCWD, target), .flags = (uint32_t)step->integers[1], .lowers = step->strings + 1, .lower_count = step->string_count - 1, .parent = -1};
  int result = -1;

  if (untar.target < 0)
    return fail(failure, target);
  untar.member_limit = step->integers[2] == 0 ? UNTAR_MEMBER_LIMIT : step->integers[2];
  /* Were the target's parent to have a default ACL, every file would get it. */
  (void)!fremovexattr(untar.target, "system.posix_acl_default");
  umask(0);
  if (tar_open(&untar.reader, (int)step->integers[0]) < 0)
    fail(failure, target);
  else if (check_proc(failure) == 0)
    result = extract_members(&untar, failure);
  if (result == 0)
    result = send_counts(&untar, failure);
  tar_close(&untar.reader);
  close_quietly(&untar.target);
  close_quietly(&untar.parent);
  buffer_free(&untar.path);
  buffer_free(&untar.parent_path);
  buffer_free(&untar.paths);
  free(untar.directories);
  return result;
}
