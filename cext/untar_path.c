/* From names in the archive to directory descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "untar.h"

const char *untar_name(const struct untar *untar) {
  const char *path = buffer_text(&untar->path), *slash = strrchr(path, '/');

  return slash == NULL ? path : slash + 1;
}

const char *untar_clean(const struct buffer *raw, struct buffer *clean) {
  const char *next = buffer_text(raw);
  bool absolute = next[0] == '/';

  if (buffer_set(clean, "", 0) < 0)
    return "out of memory";
  while (*next != '\0') {
    size_t length = strcspn(next, "/");

    if (length == 2 && next[0] == '.' && next[1] == '.') {
      char *slash = strrchr(clean->bytes, '/');

      if (clean->length == 0 && !absolute)
        return "it leads out of the layer";
      buffer_cut(clean, slash == NULL ? 0 : (size_t)(slash - clean->bytes));
    } else if (length > 0 && !(length == 1 && next[0] == '.')) {
      if ((clean->length > 0 && buffer_append(clean, "/", 1) < 0) || buffer_append(clean, next, length) < 0)
        return "out of memory";
    }
    next += length;
    next += *next == '/';
  }
  return clean->length < PATH_MAX ? NULL : "its name is too long";
}

int untar_resolve(const struct untar *untar, const char *path) {
  return open_resolved(untar->target, path[0] == '\0' ? "." : path, O_PATH | O_DIRECTORY, 0,
                       RESOLVE_INSIDE | RESOLVE_WITHOUT_MAGIC | RESOLVE_WITHOUT_MOUNTS);
}

/* A directory that the layer implies looks as it does in the layers below. */
static int take_from_lower(struct untar *untar, const char *path, int directory) {
  auto_close int parent = -1;
  auto_close int lower = -1;
  struct stat status, made;
  int found = layers_find(untar->lowers, untar->lower_count, path, &parent, &status);

  if (found <= 0 || !S_ISDIR(status.st_mode))
    return found < 0 ? -1 : 0;
  lower = open_directory(parent, strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1);
  if (lower < 0 || copy_directory_metadata(lower, &status, directory) < 0 || fstat(directory, &made) < 0)
    return -1;
  return untar_remember(untar, path,
                        &(struct untar_directory){.inode = made.st_ino,
                                                  .seconds = status.st_mtim.tv_sec,
                                                  .nanoseconds = (uint32_t)status.st_mtim.tv_nsec});
}

/* `directory` has no directory `name` yet. Returns a descriptor of the new one, or -1 with errno. */
static int make_implied(struct untar *untar, int directory, const char *name, const char *path) {
  auto_close int made = -1;
  bool hides = false;
  struct stat status;

  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
    /* Only a whiteout gives way: the new directory then hides what the lower layers have. A link to nowhere, a file: as docker, an error. */
    if (!is_whiteout(&status)) {
      errno = S_ISLNK(status.st_mode) ? ENOENT : ENOTDIR;
      return -1;
    }
    hides = true;
    if (unlinkat(directory, name, 0) < 0)
      return -1;
  }
  if (mkdirat(directory, name, 0755) < 0)
    return -1;
  made = open_directory(directory, name);
  if (made < 0 || (hides && set_opaque(made) < 0) || (!hides && take_from_lower(untar, path, made) < 0))
    return -1;
  return take_descriptor(&made);
}

/* Make the missing directories of `path`, one by one. A descriptor of the last, or -1 with errno. `path` is changed and restored. */
static int make_parents(struct untar *untar, char *path) {
  auto_close int directory = untar_resolve(untar, "");
  char *name = path;

  while (directory >= 0) {
    char *end = name + strcspn(name, "/"), mark = *end;
    int next;

    *end = '\0';
    next = untar_resolve(untar, path);
    if (next < 0 && (errno == ENOENT || errno == ENOTDIR))
      next = make_implied(untar, directory, name, path);
    *end = mark;
    close_quietly(&directory);
    directory = next;
    if (mark == '\0')
      break;
    name = end + 1;
  }
  return take_descriptor(&directory);
}

int untar_enter_parent(struct untar *untar, struct failure *failure) {
  const char *path = buffer_text(&untar->path);
  size_t length = (size_t)(untar_name(untar) - path);
  int directory;

  length -= length > 0; /* the slash */
  if (untar->parent >= 0 && untar->parent_path.length == length && memcmp(buffer_text(&untar->parent_path), path, length) == 0)
    return 0;
  close_quietly(&untar->parent);
  if (buffer_set(&untar->parent_path, path, length) < 0)
    return fail(failure, path);
  directory = untar_resolve(untar, untar->parent_path.bytes);
  if (directory < 0 && length > 0 && (errno == ENOENT || errno == ENOTDIR))
    directory = make_parents(untar, untar->parent_path.bytes);
  if (directory < 0)
    return fail_because(failure, errno, path, "its parent directory");
  untar->parent = directory;
  return 0;
}

int untar_keep_parent(struct untar *untar, int directory) {
  close_quietly(&untar->parent);
  untar->parent = directory;
  return buffer_set(&untar->parent_path, buffer_text(&untar->path), untar->path.length);
}
