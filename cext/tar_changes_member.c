/* What the archive says about an entry: type, owner, times, attributes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "tar_changes.h"

/* Attributes that are part of an image. Labels of this machine's security modules are not, nor are overlayfs's and our own marks. */
static bool is_image_attribute(const char *name) {
  if (is_reserved_attribute(name) || strchr(name, '=') != NULL)
    return false;
  return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

static int compare_text(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int add_attribute(struct changes *changes, const char *name) {
  struct buffer *to = &changes->member.attributes, *value = &changes->value;

  if (attribute_value(changes->walk.directory, changes->walk.name, name, value) < 0)
    return errno == ENODATA || is_refused_attribute(errno) ? 0 : -1;
  if (buffer_append(to, name, strlen(name) + 1) < 0 || buffer_append(to, &value->length, sizeof value->length) < 0)
    return -1;
  return buffer_append(to, buffer_text(value), value->length);
}

static int read_attributes(struct changes *changes) {
  const char *sorted[256];
  size_t count = 0;

  buffer_cut(&changes->member.attributes, 0);
  if (attribute_names(changes->walk.directory, changes->walk.name, &changes->names) < 0)
    return -1;
  for (size_t at = 0; at < changes->names.length; at += strlen(changes->names.bytes + at) + 1) {
    const char *name = changes->names.bytes + at;

    if (!is_image_attribute(name))
      continue;
    if (count == sizeof sorted / sizeof *sorted) {
      errno = E2BIG;
      return -1;
    }
    sorted[count++] = name;
  }
  qsort(sorted, count, sizeof *sorted, compare_text);
  for (size_t index = 0; index < count; index++)
    if (add_attribute(changes, sorted[index]) < 0)
      return -1;
  return 0;
}

/* In single-id mode the owner that the image wanted is in an attribute. */
static int restore_owner(struct changes *changes) {
  struct buffer *value = &changes->value;
  const char *colon;
  uint64_t uid, gid;

  if ((changes->flags & CHANGES_RESTORE_OWNERS) == 0)
    return 0;
  if (attribute_value(changes->walk.directory, changes->walk.name, ATTRIBUTE_OWNER, value) < 0)
    return errno == ENODATA || is_refused_attribute(errno) ? 0 : -1;
  colon = strchr(buffer_text(value), ':');
  if (colon == NULL || !tar_decimal(value->bytes, (size_t)(colon - value->bytes), &uid) || !tar_decimal(colon + 1, strlen(colon + 1), &gid))
    return 0; /* not written by us */
  if (uid < UINT32_MAX && gid < UINT32_MAX) {
    changes->member.uid = (uint32_t)uid;
    changes->member.gid = (uint32_t)gid;
  }
  return 0;
}

bool set_member_type(struct changes *changes, mode_t mode) {
  struct tar_member *member = &changes->member;

  switch (mode & S_IFMT) {
  case S_IFREG:
    member->type = TAR_FILE;
    return true;
  case S_IFDIR:
    member->type = TAR_DIRECTORY;
    return true;
  case S_IFLNK:
    member->type = TAR_SYMLINK;
    return true;
  case S_IFCHR:
    member->type = TAR_CHARACTER_DEVICE;
    return true;
  case S_IFBLK:
    member->type = TAR_BLOCK_DEVICE;
    return true;
  case S_IFIFO:
    member->type = TAR_FIFO;
    return true;
  default:
    return false; /* a socket: nothing but the process that made it can use it */
  }
}

int fill_member(struct changes *changes, const struct stat *status) {
  struct tar_member *member = &changes->member;

  member->mode = status->st_mode & 07777;
  member->uid = status->st_uid;
  member->gid = status->st_gid;
  member->seconds = status->st_mtim.tv_sec;
  member->nanoseconds = (uint32_t)status->st_mtim.tv_nsec;
  member->major = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode) ? major(status->st_rdev) : 0;
  member->minor = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode) ? minor(status->st_rdev) : 0;
  member->size = member->file_size = member->type == TAR_FILE ? (uint64_t)status->st_size : 0;
  member->sparse = false;
  member->extent_count = 0;
  return restore_owner(changes) < 0 ? -1 : read_attributes(changes);
}
