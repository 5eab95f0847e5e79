/* Small tools of the workers on file trees; tree.h says what each promises. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PROC_PATH_BYTES = 32 + 256 };

int buffer_reserve(struct buffer *buffer, size_t length) {
  size_t wanted = buffer->length + length + 1, capacity = buffer->capacity == 0 ? 64 : buffer->capacity;
  char *bytes;

  if (wanted <= buffer->capacity)
    return 0;
  while (capacity < wanted)
    capacity *= 2;
  bytes = realloc(buffer->bytes, capacity);
  if (bytes == NULL)
    return -1;
  buffer->bytes = bytes;
  buffer->capacity = capacity;
  return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
  if (buffer_reserve(buffer, length) < 0)
    return -1;
  if (length > 0)
    memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
  buffer->bytes[buffer->length] = '\0';
  return 0;
}

int buffer_set(struct buffer *buffer, const void *bytes, size_t length) {
  buffer->length = 0;
  return buffer_append(buffer, bytes, length);
}

void buffer_cut(struct buffer *buffer, size_t length) {
  if (buffer->bytes == NULL)
    return;
  buffer->length = length;
  buffer->bytes[length] = '\0';
}

int buffer_append_name(struct buffer *buffer, const char *name) {
  if (buffer->length > 0 && buffer_append(buffer, "/", 1) < 0)
    return -1;
  return buffer_append(buffer, name, strlen(name));
}

const char *buffer_text(const struct buffer *buffer) {
  return buffer->bytes == NULL ? "" : buffer->bytes;
}

void buffer_free(struct buffer *buffer) {
  free(buffer->bytes);
  *buffer = (struct buffer){0};
}

int fail_because(struct failure *failure, int error, const char *path, const char *reason) {
  char object[PATH_MAX];
  int room = (int)(sizeof object - strlen(reason) - 3);

  snprintf(object, sizeof object, "%.*s: %s", room, path, reason);
  return fail_with(failure, error, object);
}

static int compare_names(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Collect the names, NUL after NUL, in `storage`. */
static int read_entries(int directory, struct buffer *storage, size_t *count) {
  /* Not readdir(3): it needs a descriptor of its own and a malloc for each directory. The kernel's record is stable. */
  struct record {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
  };
  _Alignas(8) char buffer[32768];
  long length;

  if (lseek(directory, 0, SEEK_SET) < 0)
    return -1;
  while ((length = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < length;) {
      const struct record *record = (const void *)(buffer + at);

      at += record->length;
      if (strcmp(record->name, ".") == 0 || strcmp(record->name, "..") == 0)
        continue;
      if (buffer_append(storage, record->name, strlen(record->name) + 1) < 0)
        return -1;
      *count += 1;
    }
  }
  return length < 0 ? -1 : 0;
}

/* Sort the names in `storage`, NUL after NUL, and keep one of each. Takes over the storage on success. */
static int names_from(struct buffer *storage, size_t count, struct names *names) {
  char *next = storage->bytes;
  size_t kept = 0;

  *names = (struct names){calloc(count + 1, sizeof(char *)), count, storage->bytes};
  if (names->items == NULL)
    return -1;
  *storage = (struct buffer){0};
  for (size_t index = 0; index < count; index++) {
    names->items[index] = next;
    next += strlen(next) + 1;
  }
  qsort(names->items, count, sizeof(char *), compare_names);
  for (size_t index = 0; index < count; index++)
    if (kept == 0 || strcmp(names->items[index], names->items[kept - 1]) != 0)
      names->items[kept++] = names->items[index];
  names->count = kept;
  return 0;
}

int names_read(int directory, struct names *names) {
  auto_buffer struct buffer storage = {0};
  size_t count = 0;

  if (read_entries(directory, &storage, &count) < 0)
    return -1;
  return names_from(&storage, count, names);
}

int names_add(int directory, struct names *names) {
  auto_buffer struct buffer storage = {0};
  size_t count = names->count;

  for (size_t index = 0; index < names->count; index++)
    if (buffer_append(&storage, names->items[index], strlen(names->items[index]) + 1) < 0)
      return -1;
  if (read_entries(directory, &storage, &count) < 0)
    return -1;
  names_free(names);
  return names_from(&storage, count, names);
}

void names_free(struct names *names) {
  free(names->items);
  free(names->storage);
  *names = (struct names){0};
}

int open_directory(int parent, const char *name) {
  return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int open_regular(int parent, const char *name, const struct stat *expected) {
  /* O_NONBLOCK: were a fifo put in its place, open would wait for a writer. */
  auto_close int descriptor = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat status;

  if (descriptor < 0 || fstat(descriptor, &status) < 0)
    return -1;
  if (!S_ISREG(status.st_mode) || status.st_ino != expected->st_ino || status.st_dev != expected->st_dev) {
    errno = ESTALE;
    return -1;
  }
  return take_descriptor(&descriptor);
}

bool is_whiteout(const struct stat *status) {
  return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

int is_opaque(int directory) {
  char value[2];
  ssize_t length = fgetxattr(directory, ATTRIBUTE_OPAQUE, value, sizeof value);

  if (length >= 0)
    return length == 1 && value[0] == 'y';
  return errno == ENODATA || errno == ENOTSUP || errno == ERANGE ? 0 : -1;
}

int set_opaque(int directory) {
  return fsetxattr(directory, ATTRIBUTE_OPAQUE, "y", 1, 0);
}

bool is_reserved_attribute(const char *name) {
  static const char *const prefixes[] = {"user.overlay.", "user.ocirun.", "trusted.overlay."};

  for (size_t index = 0; index < sizeof prefixes / sizeof *prefixes; index++)
    if (strncmp(name, prefixes[index], strlen(prefixes[index])) == 0)
      return true;
  return false;
}

bool is_refused_attribute(int error) {
  return error == EPERM || error == EACCES || error == ENOTSUP || error == EINVAL || error == ERANGE || error == E2BIG;
}

int check_proc(struct failure *failure) {
  static const char path[] = "/proc/self/fd";

  return access(path, X_OK) == 0 ? 0 : fail(failure, path);
}

/* The entry as a path that the l*xattr calls, which know no directory descriptor, can take. */
static void proc_path(char *path, int parent, const char *name) {
  snprintf(path, PROC_PATH_BYTES, "/proc/self/fd/%d/%s", parent, name);
}

int attribute_names(int parent, const char *name, struct buffer *names) {
  char path[PROC_PATH_BYTES];
  ssize_t length;

  proc_path(path, parent, name);
  buffer_cut(names, 0);
  for (;;) {
    if (buffer_reserve(names, 255) < 0)
      return -1;
    length = llistxattr(path, names->bytes, names->capacity - 1);
    if (length >= 0)
      break;
    if (errno == ENOTSUP)
      length = 0;
    else if (errno != ERANGE || buffer_reserve(names, names->capacity) < 0)
      return -1;
    if (length == 0)
      break;
  }
  buffer_cut(names, (size_t)length);
  return 0;
}

int attribute_value(int parent, const char *name, const char *attribute, struct buffer *value) {
  char path[PROC_PATH_BYTES];
  ssize_t length;

  proc_path(path, parent, name);
  buffer_cut(value, 0);
  for (;;) {
    if (buffer_reserve(value, 255) < 0)
      return -1;
    length = lgetxattr(path, attribute, value->bytes, value->capacity - 1);
    if (length >= 0)
      break;
    if (errno != ERANGE || buffer_reserve(value, value->capacity) < 0)
      return -1;
  }
  buffer_cut(value, (size_t)length);
  return 0;
}

int attribute_set(int parent, const char *name, const char *attribute, const void *value, size_t length) {
  char path[PROC_PATH_BYTES];

  proc_path(path, parent, name);
  return lsetxattr(path, attribute, value, length, 0);
}
