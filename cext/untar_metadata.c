/* Owner, mode, attributes and times of what was extracted. Order matters: chown drops setuid bits and capabilities, so it comes first. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "untar.h"

static int set_attribute(const struct untar *untar, int descriptor, const char *name, const void *value, size_t length) {
  if (descriptor >= 0)
    return fsetxattr(descriptor, name, value, length, 0);
  return attribute_set(untar->parent, untar_name(untar), name, value, length);
}

/* The owner cannot be had here: remember it where the file type allows. Links, devices and fifos can carry no such attribute. */
static int remember_owner(struct untar *untar, int descriptor, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  char owner[32];
  int length = snprintf(owner, sizeof owner, "%u:%u", member->uid, member->gid);

  untar->squashed++;
  if (descriptor < 0 || fsetxattr(descriptor, ATTRIBUTE_OWNER, owner, (size_t)length, 0) == 0 || is_refused_attribute(errno))
    return 0;
  return fail_because(failure, errno, buffer_text(&untar->path), "remembering its owner");
}

static int apply_owner(struct untar *untar, int descriptor, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  int result;

  if ((untar->flags & UNTAR_SQUASH) != 0)
    return member->uid == 0 && member->gid == 0 ? 0 : remember_owner(untar, descriptor, failure);
  if (descriptor >= 0)
    result = fchown(descriptor, member->uid, member->gid);
  else
    result = fchownat(untar->parent, untar_name(untar), member->uid, member->gid, AT_SYMLINK_NOFOLLOW);
  if (result == 0)
    return 0;
  /* EINVAL: the id has no place in this user namespace. */
  return errno == EINVAL ? remember_owner(untar, descriptor, failure) : fail_because(failure, errno, buffer_text(&untar->path), "setting its owner");
}

static int apply_attributes(struct untar *untar, int descriptor, struct failure *failure) {
  const char *name;
  const void *value;
  size_t length;

  for (size_t at = 0; tar_next_attribute(&untar->reader.member, &at, &name, &value, &length);) {
    if (!is_reserved_attribute(name) && set_attribute(untar, descriptor, name, value, length) == 0)
      continue;
    if (!is_reserved_attribute(name) && !is_refused_attribute(errno))
      return fail_because(failure, errno, buffer_text(&untar->path), name);
    untar->skipped_attributes++;
  }
  return 0;
}

int untar_apply_metadata(struct untar *untar, int descriptor, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {member->seconds, member->nanoseconds}};
  uint32_t mode = member->mode | (member->type == TAR_DIRECTORY ? 0700 : 0);
  int result;

  if (apply_owner(untar, descriptor, failure) < 0)
    return -1;
  if (descriptor >= 0 && fchmod(descriptor, mode) < 0)
    return fail_because(failure, errno, buffer_text(&untar->path), "setting its mode");
  if (apply_attributes(untar, descriptor, failure) < 0)
    return -1;
  if (member->type == TAR_DIRECTORY)
    return 0;
  if (descriptor >= 0)
    result = futimens(descriptor, times);
  else
    result = utimensat(untar->parent, untar_name(untar), times, AT_SYMLINK_NOFOLLOW);
  return result == 0 ? 0 : fail_because(failure, errno, buffer_text(&untar->path), "setting its time");
}

int untar_remember(struct untar *untar, const char *path, const struct untar_directory *directory) {
  size_t at = untar->paths.length;

  if (at > UNTAR_PATHS_LIMIT) {
    errno = E2BIG;
    return -1;
  }
  if (untar->directory_count == untar->directory_capacity) {
    size_t capacity = untar->directory_capacity == 0 ? 256 : untar->directory_capacity * 2;
    struct untar_directory *directories = realloc(untar->directories, capacity * sizeof *directories);

    if (directories == NULL)
      return -1;
    untar->directories = directories;
    untar->directory_capacity = capacity;
  }
  if (buffer_append(&untar->paths, path, strlen(path) + 1) < 0)
    return -1;
  untar->directories[untar->directory_count] = *directory;
  untar->directories[untar->directory_count++].path = at;
  return 0;
}

/* Longer paths first, so that a directory is done before the one that holds it; of two with one path the later one first. */
static int compare_directories(const void *left, const void *right, void *paths) {
  const struct untar_directory *one = left, *other = right;
  int order = strcmp((char *)paths + other->path, (char *)paths + one->path);

  if (order != 0)
    return order;
  return one->path < other->path ? 1 : -1;
}

int untar_finish_directories(struct untar *untar, struct failure *failure) {
  const char *last = NULL;

  if (untar->directory_count > 0)
    qsort_r(untar->directories, untar->directory_count, sizeof *untar->directories, compare_directories, untar->paths.bytes);
  for (size_t index = 0; index < untar->directory_count; index++) {
    const struct untar_directory *directory = &untar->directories[index];
    const char *path = buffer_text(&untar->paths) + directory->path;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {directory->seconds, directory->nanoseconds}};
    struct stat status;
    auto_close int descriptor = -1;

    if (last != NULL && strcmp(path, last) == 0)
      continue;
    last = path;
    descriptor = open_resolved(untar->target, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_INSIDE | RESOLVE_WITHOUT_MAGIC);
    /* A later member has taken its place. */
    if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
      continue;
    if (descriptor < 0 || fstat(descriptor, &status) < 0)
      return fail(failure, path);
    if (status.st_ino != directory->inode)
      continue;
    if (directory->set_mode && fchmod(descriptor, directory->mode) < 0)
      return fail_because(failure, errno, path, "setting its mode");
    if (futimens(descriptor, times) < 0)
      return fail_because(failure, errno, path, "setting its time");
  }
  return 0;
}
