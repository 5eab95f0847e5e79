/* What the workers on file trees share (untar_*.c, tar_*.c, tree_*.c): growable buffers, extended attributes, names of a directory. */
#ifndef OCIRUN_TREE_H
#define OCIRUN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "plan.h"
#include "system_calls.h"

/* Marks of overlayfs (mounted with userxattr) and of ocirun on files. */
#define ATTRIBUTE_OPAQUE "user.overlay.opaque"
#define ATTRIBUTE_OWNER "user.ocirun.owner"

/* Bytes that grow; always ended by a NUL once set. {0} is the empty one. */
struct buffer {
  char *bytes;
  size_t length;
  size_t capacity;
};

/* Each returns 0, or -1 with errno ENOMEM. The bytes given may not lie in the buffer itself. */
must_check int buffer_set(struct buffer *buffer, const void *bytes, size_t length);
must_check int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
/* Make room for `length` more bytes. */
must_check int buffer_reserve(struct buffer *buffer, size_t length);
/* Cut to `length` bytes, which is not more than it has. */
void buffer_cut(struct buffer *buffer, size_t length);
/* Append "/name", or "name" when it is empty. */
must_check int buffer_append_name(struct buffer *buffer, const char *name);
/* The bytes as a string; "" for one that was never set. */
const char *buffer_text(const struct buffer *buffer);
void buffer_free(struct buffer *buffer);
#define auto_buffer __attribute__((cleanup(buffer_free)))

/* Note a failure on `path` and say why in words: "path: reason". Always returns -1. */
int fail_because(struct failure *failure, int error, const char *path, const char *reason);

/* The entries of a directory, sorted by their bytes, without "." and "..". */
struct names {
  char **items;
  size_t count;
  char *storage;
};

/* Reads with `directory`'s own offset, from the start. 0, or -1 with errno. */
must_check int names_read(int directory, struct names *names);
/* Add the entries of another directory; each name stays once. */
must_check int names_add(int directory, struct names *names);
void names_free(struct names *names);
#define auto_names __attribute__((cleanup(names_free)))

/* A directory for reading; the last component is not followed. As open(2). */
must_check int open_directory(int parent, const char *name);
/* A regular file for reading, checked by fstat to be the one that `expected` describes. -1 with errno ESTALE when it is not. */
must_check int open_regular(int parent, const char *name, const struct stat *expected);

bool is_whiteout(const struct stat *status);
/* 1 when the directory hides what lower layers have below it, 0 when not, -1 with errno. */
must_check int is_opaque(int directory);
must_check int set_opaque(int directory);

/* May this attribute of an archive or of a foreign tree never be set, because it is a mark that we or overlayfs trust? */
bool is_reserved_attribute(const char *name);
/* Is this errno of setxattr one that means "not here, not for you", after which the file is still good? */
bool is_refused_attribute(int error);

/* The functions on attributes by name need /proc. 0, or -1 with the failure filled when it is missing. */
must_check int check_proc(struct failure *failure);
/* Names of the extended attributes as llistxattr(2) gives them, in `names`. No symlink is followed. */
must_check int attribute_names(int parent, const char *name, struct buffer *names);
must_check int attribute_value(int parent, const char *name, const char *attribute, struct buffer *value);
/* Set one attribute of an entry that may be of any type, not following it. */
must_check int attribute_set(int parent, const char *name, const char *attribute, const void *value, size_t length);

/* Remove entry `name` of `parent` with all below it. `path` is for messages. Success also when there is none. */
must_check int remove_entry(int parent, const char *name, const char *path, struct failure *failure);
/* Copy one entry that is no directory; sockets, and devices that may not be made, are left out. The new entry must not exist. */
must_check int copy_entry(int from, const char *name, const struct stat *status, int to, const char *new_name);
/* Give directory `to` the owner, mode and attributes of directory `from`; times too. */
must_check int copy_directory_metadata(int from, const struct stat *status, int to);

/* Find `path` in a stack of layers, top first: 1: found, *parent (to be closed) is the directory that holds it; 0: it is not there, or
 * hidden by a whiteout, an opaque directory, or something that is no directory; -1 with errno. No link is followed. */
must_check int layers_find(const struct plan_string *layers, uint32_t count, const char *path, int *parent, struct stat *status);

#endif
