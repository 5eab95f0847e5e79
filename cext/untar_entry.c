/* Making the entries of a layer. Each is made new, beneath the parent's descriptor and never through a link; what was there before goes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "untar.h"

/* Remove what is in the member's place; *hides says that it was a whiteout. */
static int make_room(struct untar *untar, bool *hides, struct failure *failure) {
  struct stat status;

  if (fstatat(untar->parent, untar_name(untar), &status, AT_SYMLINK_NOFOLLOW) < 0)
    return fail(failure, buffer_text(&untar->path));
  *hides = is_whiteout(&status);
  return remove_entry(untar->parent, untar_name(untar), buffer_text(&untar->path), failure);
}

static int write_content(struct untar *untar, int file, uint64_t length, struct failure *failure) {
  while (length > 0) {
    const unsigned char *bytes;
    size_t piece;
    int more = tar_content(&untar->reader, length, &bytes, &piece, failure);

    if (more <= 0)
      return more < 0 ? -1 : tar_broken(&untar->reader, failure, "its content is too short");
    if (write_all(file, bytes, piece) < 0)
      return fail_because(failure, errno, buffer_text(&untar->path), "writing its content");
    length -= piece;
  }
  return 0;
}

static int write_pieces(struct untar *untar, int file, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;

  if (member->file_size > INT64_MAX || ftruncate(file, (off_t)member->file_size) < 0)
    return fail_because(failure, EFBIG, buffer_text(&untar->path), "making it as long as its header says");
  for (size_t index = 0; index < member->extent_count; index++) {
    const struct tar_extent *extent = &member->extents[index];

    if (extent->length > 0 && lseek(file, (off_t)extent->offset, SEEK_SET) < 0)
      return fail(failure, buffer_text(&untar->path));
    if (write_content(untar, file, extent->length, failure) < 0)
      return -1;
  }
  return 0;
}

static int make_file(struct untar *untar, struct failure *failure) {
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const struct tar_member *member = &untar->reader.member;
  auto_close int file = openat(untar->parent, untar_name(untar), flags, 0600);
  bool hides;
  int result;

  if (file < 0 && errno == EEXIST) {
    if (make_room(untar, &hides, failure) < 0)
      return -1;
    file = openat(untar->parent, untar_name(untar), flags, 0600);
  }
  if (file < 0)
    return fail(failure, buffer_text(&untar->path));
  result = member->sparse ? write_pieces(untar, file, failure) : write_content(untar, file, member->size, failure);
  if (result < 0)
    return -1;
  untar->bytes += member->file_size;
  return untar_apply_metadata(untar, file, failure);
}

/* The member is a directory, or the target itself. */
static int open_new_directory(struct untar *untar, struct failure *failure) {
  auto_close int directory = -1;
  const char *name = untar->path.length == 0 ? "." : untar_name(untar);
  struct stat status;
  bool hides = false;

  /* A directory merges with one that is there; anything else gives way. */
  if (untar->path.length > 0 && mkdirat(untar->parent, name, 0700) < 0) {
    if (errno != EEXIST || fstatat(untar->parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
      return fail(failure, buffer_text(&untar->path));
    if (!S_ISDIR(status.st_mode)) {
      if (make_room(untar, &hides, failure) < 0)
        return -1;
      if (mkdirat(untar->parent, name, 0700) < 0)
        return fail(failure, buffer_text(&untar->path));
    }
  }
  directory = open_directory(untar->parent, name);
  if (directory < 0 || (hides && set_opaque(directory) < 0))
    return fail(failure, buffer_text(&untar->path));
  return take_descriptor(&directory);
}

static int make_directory_entry(struct untar *untar, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  auto_close int directory = open_new_directory(untar, failure);
  struct untar_directory late = {0, 0, member->seconds, member->nanoseconds, member->mode, (member->mode & 0700) != 0700};
  struct stat status;

  if (directory < 0 || untar_apply_metadata(untar, directory, failure) < 0)
    return -1;
  if (fstat(directory, &status) < 0)
    return fail(failure, buffer_text(&untar->path));
  late.inode = status.st_ino;
  if (untar_remember(untar, buffer_text(&untar->path), &late) < 0)
    return fail(failure, buffer_text(&untar->path));
  return untar_keep_parent(untar, take_descriptor(&directory)) < 0 ? fail(failure, buffer_text(&untar->path)) : 0;
}

static int make_node(struct untar *untar) {
  const struct tar_member *member = &untar->reader.member;
  const char *name = untar_name(untar);
  mode_t type = member->type == TAR_FIFO ? S_IFIFO : member->type == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFCHR;

  if (member->type == TAR_SYMLINK)
    return symlinkat(buffer_text(&member->link), untar->parent, name);
  return mknodat(untar->parent, name, type | member->mode, type == S_IFIFO ? 0 : makedev(member->major, member->minor));
}

/* Symbolic links, devices and fifos. */
static int make_special(struct untar *untar, struct failure *failure) {
  const struct tar_member *member = &untar->reader.member;
  bool device = member->type == TAR_CHARACTER_DEVICE || member->type == TAR_BLOCK_DEVICE, hides;
  int result = make_node(untar);

  if (result < 0 && errno == EEXIST) {
    if (make_room(untar, &hides, failure) < 0)
      return -1;
    result = make_node(untar);
  }
  if (result < 0 && errno == EPERM && device && (untar->flags & UNTAR_SKIP_DEVICES) != 0) {
    untar->skipped_devices++;
    return 0;
  }
  if (result < 0)
    return fail(failure, buffer_text(&untar->path));
  return untar_apply_metadata(untar, -1, failure);
}

/* Find the target of a hard link in this layer, else in those below: *parent holds it, to be closed. 1: here, 0: below, -1: failure. */
static int find_link_target(struct untar *untar, const struct buffer *link, int *parent, struct stat *status, struct failure *failure) {
  const char *path = buffer_text(link), *slash = strrchr(path, '/');
  char directory[PATH_MAX] = "";
  int found;

  if (slash != NULL)
    memcpy(directory, path, (size_t)(slash - path));
  *parent = untar_resolve(untar, directory);
  if (*parent >= 0 && fstatat(*parent, slash == NULL ? path : slash + 1, status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!is_whiteout(status))
      return 1;
    return fail_because(failure, ENOENT, buffer_text(&untar->path), "the target of this hard link");
  }
  if (errno != ENOENT && errno != ENOTDIR)
    return fail_because(failure, errno, buffer_text(&untar->path), "the target of this hard link");
  close_quietly(parent);
  found = layers_find(untar->lowers, untar->lower_count, path, parent, status);
  if (found <= 0)
    return fail_because(failure, found < 0 ? errno : ENOENT, buffer_text(&untar->path), "the target of this hard link");
  return 0;
}

static int make_hard_link(struct untar *untar, struct failure *failure) {
  auto_buffer struct buffer link = {0};
  auto_close int parent = -1;
  struct stat status = {0}, existing;
  const char *reason = untar_clean(&untar->reader.member.link, &link), *name;
  bool hides;
  int here, result;

  if (reason != NULL || link.length == 0)
    return fail_because(failure, EINVAL, buffer_text(&untar->path), "the target of this hard link leads out of the layer");
  here = find_link_target(untar, &link, &parent, &status, failure);
  if (here < 0)
    return -1;
  if (S_ISDIR(status.st_mode))
    return fail_because(failure, EINVAL, buffer_text(&untar->path), "a hard link to a directory");
  if (fstatat(untar->parent, untar_name(untar), &existing, AT_SYMLINK_NOFOLLOW) == 0) {
    if (here > 0 && existing.st_ino == status.st_ino)
      return 0; /* the link is there already, or is one to itself */
    if (make_room(untar, &hides, failure) < 0)
      return -1;
  }
  name = strrchr(link.bytes, '/') == NULL ? link.bytes : strrchr(link.bytes, '/') + 1;
  if (here > 0)
    result = linkat(parent, name, untar->parent, untar_name(untar), 0);
  else
    result = copy_entry(parent, name, &status, untar->parent, untar_name(untar));
  return result == 0 ? 0 : fail_because(failure, errno, buffer_text(&untar->path), "making this hard link");
}

int untar_make_entry(struct untar *untar, struct failure *failure) {
  untar->files++;
  switch (untar->reader.member.type) {
  case TAR_FILE:
    return make_file(untar, failure);
  case TAR_HARD_LINK:
    return make_hard_link(untar, failure);
  case TAR_DIRECTORY:
    return make_directory_entry(untar, failure);
  default:
    return make_special(untar, failure);
  }
}

static int mark_opaque(int parent, const char *name, const char *path, struct failure *failure) {
  auto_close int directory = open_directory(parent, name);

  if (directory < 0 || set_opaque(directory) < 0)
    return fail_because(failure, errno, path, "hiding what is below it");
  return 0;
}

int untar_make_whiteout(struct untar *untar, const char *name, struct failure *failure) {
  const char *hidden = name + strlen(WHITEOUT_PREFIX), *path = buffer_text(&untar->path);
  struct stat status;

  if (strcmp(name, WHITEOUT_OPAQUE) == 0)
    return mark_opaque(untar->parent, ".", path, failure);
  if (mknodat(untar->parent, hidden, S_IFCHR, 0) == 0)
    return 0;
  if (errno != EEXIST || fstatat(untar->parent, hidden, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return fail(failure, path);
  /* The layer has an entry of this name itself. The whiteout is about lower layers only (image spec, layer.md, "Whiteouts"): a
   * directory must hide theirs, anything else does so by being there. */
  return S_ISDIR(status.st_mode) ? mark_opaque(untar->parent, hidden, path, failure) : 0;
}
