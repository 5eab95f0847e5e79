/* Copying files and trees: into empty volumes, and from a lower layer for hard links into it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tree.h"
#include "tree_walk.h"

enum { COPY_BYTES = 1 << 18 };

/* Copy `length` bytes at the offset where both files stand. The end of `from` ends it early. */
static int copy_range(int from, int to, off_t length) {
  char *buffer = NULL;
  bool in_kernel = true;
  int result = 0;

  while (length > 0 && result == 0) {
    ssize_t got = -1;

    if (in_kernel)
      got = copy_file_range(from, NULL, to, NULL, (size_t)length, 0);
    if (got < 0) {
      in_kernel = false;
      if (buffer == NULL && (buffer = malloc(COPY_BYTES)) == NULL)
        return -1;
      got = read(from, buffer, length < COPY_BYTES ? (size_t)length : COPY_BYTES);
      if (got < 0 || (got > 0 && write_all(to, buffer, (size_t)got) < 0))
        result = -1;
    }
    if (got == 0)
      break;
    length -= got > 0 ? got : 0;
  }
  free(buffer);
  return result;
}

/* All of a file: shared blocks where the file system can, else piece by piece, so that holes stay holes. */
static int copy_content(int from, int to, off_t size) {
  off_t at = 0;

  if (ioctl(to, FICLONE, from) == 0)
    return 0;
  while (at < size) {
    off_t data = lseek(from, at, SEEK_DATA), hole;

    if (data < 0 && errno == ENXIO)
      break;
    if (data < 0)
      data = at;
    hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0 || hole > size)
      hole = size;
    if (lseek(from, data, SEEK_SET) < 0 || lseek(to, data, SEEK_SET) < 0 || copy_range(from, to, hole - data) < 0)
      return -1;
    at = hole > at ? hole : size;
  }
  return ftruncate(to, size);
}

/* All attributes but overlayfs's marks; those that are refused here are left out. */
static int copy_attributes(int from, const char *name, int to, const char *new_name) {
  auto_buffer struct buffer names = {0};
  auto_buffer struct buffer value = {0};

  if (attribute_names(from, name, &names) < 0)
    return -1;
  for (size_t at = 0; at < names.length; at += strlen(names.bytes + at) + 1) {
    const char *attribute = names.bytes + at;

    if (is_reserved_attribute(attribute) && strcmp(attribute, ATTRIBUTE_OWNER) != 0)
      continue;
    if (attribute_value(from, name, attribute, &value) < 0) {
      if (errno == ENODATA || is_refused_attribute(errno))
        continue;
      return -1;
    }
    if (attribute_set(to, new_name, attribute, value.bytes, value.length) < 0 && !is_refused_attribute(errno))
      return -1;
  }
  return 0;
}

/* An owner that cannot be had in this user namespace becomes the caller. */
static bool owner_refused(int result) {
  return result < 0 && errno != EPERM && errno != EINVAL;
}

static int copy_file(int from, const char *name, const struct stat *status, int to, const char *new_name) {
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  auto_close int source = open_regular(from, name, status);
  auto_close int target = -1;

  if (source < 0)
    return -1;
  target = openat(to, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (target < 0 || copy_content(source, target, status->st_size) < 0)
    return -1;
  if (owner_refused(fchown(target, status->st_uid, status->st_gid)) || fchmod(target, status->st_mode & 07777) < 0)
    return -1;
  if (copy_attributes(from, name, to, new_name) < 0)
    return -1;
  return futimens(target, times);
}

/* A link, a fifo or a device. 1: made, 0: left out, -1 with errno. */
static int copy_special(int from, const char *name, const struct stat *status, int to, const char *new_name) {
  char link[PATH_MAX];
  ssize_t length;

  if (S_ISLNK(status->st_mode)) {
    length = readlinkat(from, name, link, sizeof link - 1);
    if (length < 0)
      return -1;
    link[length] = '\0';
    return symlinkat(link, to, new_name) < 0 ? -1 : 1;
  }
  if (S_ISSOCK(status->st_mode))
    return 0;
  if (mknodat(to, new_name, status->st_mode, status->st_rdev) == 0)
    return 1;
  return errno == EPERM && !S_ISFIFO(status->st_mode) ? 0 : -1;
}

int copy_entry(int from, const char *name, const struct stat *status, int to, const char *new_name) {
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  int made;

  if (S_ISREG(status->st_mode))
    return copy_file(from, name, status, to, new_name);
  made = copy_special(from, name, status, to, new_name);
  if (made <= 0)
    return made;
  if (owner_refused(fchownat(to, new_name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW)))
    return -1;
  if (copy_attributes(from, name, to, new_name) < 0)
    return -1;
  return utimensat(to, new_name, times, AT_SYMLINK_NOFOLLOW);
}

int copy_directory_metadata(int from, const struct stat *status, int to) {
  const struct timespec times[2] = {status->st_atim, status->st_mtim};

  if (owner_refused(fchown(to, status->st_uid, status->st_gid)) || fchmod(to, status->st_mode & 07777) < 0)
    return -1;
  if (copy_attributes(from, ".", to, ".") < 0)
    return -1;
  return futimens(to, times);
}

struct copy {
  struct walk walk;
  struct link_table links;
  int target;    /* the root of the copy */
  int directory; /* in the copy, what walk.directory is in the source */
};

static int open_copy(struct copy *copy, const char *path) {
  return open_resolved(copy->target, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS);
}

/* Let copy->directory follow walk.directory. `path` is the path of the latter. */
static int follow(struct copy *copy, const char *path) {
  close_quietly(&copy->directory);
  copy->directory = open_copy(copy, path);
  return copy->directory < 0 ? -1 : 0;
}

/* The file has been copied already under `first`. */
static int copy_link(struct copy *copy, const char *first) {
  char path[PATH_MAX] = "";
  const char *slash = strrchr(first, '/');
  auto_close int directory = -1;

  if (slash != NULL)
    memcpy(path, first, (size_t)(slash - first));
  directory = open_copy(copy, path);
  if (directory < 0)
    return -1;
  return linkat(directory, slash == NULL ? first : slash + 1, copy->directory, copy->walk.name, 0);
}

static int copy_walk_entry(struct copy *copy) {
  struct walk *walk = &copy->walk;
  const char *first;
  struct stat status;
  int result;

  if (fstatat(walk->directory, walk->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : -1;
  if (S_ISDIR(status.st_mode)) {
    if (mkdirat(copy->directory, walk->name, 0700) < 0)
      return -1;
    result = walk_enter(walk, 0);
    return result < 0 ? -1 : follow(copy, buffer_text(&walk->path));
  }
  if (status.st_nlink > 1 && !S_ISSOCK(status.st_mode)) {
    result = link_table_add(&copy->links, &status, buffer_text(&walk->path), &first);
    if (result > 0)
      result = copy_link(copy, first) == 0 ? 1 : errno == ENOENT ? 0 : -1; /* ENOENT: the first was left out */
    if (result != 0)
      return result < 0 ? -1 : 0;
  }
  result = copy_entry(walk->directory, walk->name, &status, copy->directory, walk->name);
  /* Gone, or another file by now: the tree is in use, and what is there now was not there when we looked. */
  return result < 0 && errno != ENOENT && errno != ESTALE ? -1 : 0;
}

/* All below walk.directory has been copied; the directory itself gets its looks last, because they may forbid writing. */
static int leave_directory(struct copy *copy) {
  struct walk *walk = &copy->walk;
  const char *path = buffer_text(&walk->path), *slash = strrchr(path, '/');
  char parent[PATH_MAX] = "";
  struct stat status;

  if (fstat(walk->directory, &status) < 0 || copy_directory_metadata(walk->directory, &status, copy->directory) < 0)
    return -1;
  if (slash != NULL)
    memcpy(parent, path, (size_t)(slash - path));
  return follow(copy, parent);
}

static int copy_all(struct copy *copy, int from) {
  int event = walk_start(&copy->walk, from);

  if (event < 0 || follow(copy, "") < 0)
    return -1;
  while ((event = walk_next(&copy->walk)) > 0) {
    if ((event == WALK_ENTRY ? copy_walk_entry(copy) : leave_directory(copy)) < 0)
      return -1;
  }
  return event;
}

int populate_tree(int from, int to, struct failure *failure) {
  struct copy copy = {.walk = {.directory = -1}, .target = to, .directory = -1};
  auto_names struct names existing = {0};
  auto_close int directory = open_directory(to, ".");
  int result = 0;

  if (check_proc(failure) < 0)
    return -1;
  if (directory < 0 || names_read(directory, &existing) < 0)
    return fail(failure, "");
  if (existing.count == 0) {
    result = copy_all(&copy, from);
    if (result < 0)
      fail(failure, buffer_text(&copy.walk.path));
  }
  walk_end(&copy.walk);
  link_table_free(&copy.links);
  close_quietly(&copy.directory);
  return result;
}
