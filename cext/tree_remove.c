/* Removing a tree of any depth, whoever may be changing it: every directory is opened from the one that holds it, without following a link
 * or entering a mount, and the way back up is checked by device and inode. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* So many directories of the way down stay open; the way back to those above goes through "..". */
enum { OPEN_FRAMES = 64, PASSES = 16 };

struct frame {
  int directory; /* -1: closed for now */
  dev_t device;
  ino_t inode;
  struct names names;
  size_t next;
  int passes;
};

struct removal {
  struct frame *frames;
  size_t depth, capacity;
};

static struct frame *top(const struct removal *removal) {
  return &removal->frames[removal->depth - 1];
}

/* A directory that its owner may not read: with O_PATH it can be opened all the same, and changed through /proc. */
static void make_readable(int parent, const char *name) {
  auto_close int directory = open_resolved(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_WITHOUT_MOUNTS);
  char path[64];

  if (directory < 0)
    return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
  (void)!chmod(path, 0700); /* open tells whether it helped */
}

static int open_for_removal(int parent, const char *name) {
  const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  int directory = open_resolved(parent, name, flags, 0, RESOLVE_WITHOUT_MOUNTS);

  if (directory < 0 && errno == EACCES) {
    make_readable(parent, name);
    directory = open_resolved(parent, name, flags, 0, RESOLVE_WITHOUT_MOUNTS);
  }
  return directory;
}

static int push(struct removal *removal, int parent, const char *name) {
  struct frame frame = {.directory = -1};
  struct stat status;

  if (removal->depth == removal->capacity) {
    size_t capacity = removal->capacity == 0 ? 16 : removal->capacity * 2;
    struct frame *frames = realloc(removal->frames, capacity * sizeof *frames);

    if (frames == NULL)
      return -1;
    removal->frames = frames;
    removal->capacity = capacity;
  }
  frame.directory = open_for_removal(parent, name);
  if (frame.directory < 0 || fstat(frame.directory, &status) < 0 || names_read(frame.directory, &frame.names) < 0) {
    close_quietly(&frame.directory);
    return -1;
  }
  if ((status.st_mode & 0700) != 0700)
    (void)!fchmod(frame.directory, 0700); /* unlinkat tells whether it helped */
  frame.device = status.st_dev;
  frame.inode = status.st_ino;
  removal->frames[removal->depth++] = frame;
  if (removal->depth > OPEN_FRAMES)
    close_quietly(&removal->frames[removal->depth - 1 - OPEN_FRAMES].directory);
  return 0;
}

/* Go back to the directory above the top one, which must still be the one we came from. */
static int reopen_above(const struct removal *removal) {
  struct frame *above = &removal->frames[removal->depth - 2];
  struct stat status;

  if (above->directory >= 0)
    return 0;
  above->directory = open_resolved(top(removal)->directory, "..", O_RDONLY | O_DIRECTORY, 0, RESOLVE_WITHOUT_MOUNTS);
  if (above->directory < 0 || fstat(above->directory, &status) < 0)
    return -1;
  if (status.st_ino == above->inode && status.st_dev == above->device)
    return 0;
  errno = ESTALE;
  return -1;
}

static void drop_top(struct removal *removal) {
  struct frame *frame = top(removal);

  close_quietly(&frame->directory);
  names_free(&frame->names);
  removal->depth--;
}

/* The top directory should be empty now: remove it from the one that holds it. */
static int remove_top(struct removal *removal, int parent, const char *name) {
  struct frame *frame = top(removal);

  if (removal->depth > 1) {
    const struct frame *above = frame - 1;

    if (reopen_above(removal) < 0)
      return -1;
    parent = above->directory;
    name = above->names.items[above->next - 1];
  }
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    drop_top(removal);
    return 0;
  }
  /* Somebody still puts files there: look again, but not for ever. */
  if (errno != ENOTEMPTY || ++frame->passes == PASSES)
    return -1;
  names_free(&frame->names);
  frame->next = 0;
  return names_read(frame->directory, &frame->names);
}

/* One entry of the top directory. */
static int remove_next(struct removal *removal) {
  struct frame *frame = top(removal);
  const char *name = frame->names.items[frame->next++];

  if (unlinkat(frame->directory, name, 0) == 0 || errno == ENOENT)
    return 0;
  return errno == EISDIR ? push(removal, frame->directory, name) : -1;
}

int remove_entry(int parent, const char *name, const char *path, struct failure *failure) {
  struct removal removal = {0};
  int result = unlinkat(parent, name, 0);

  if (result == 0 || errno == ENOENT)
    return 0;
  if (errno == EISDIR)
    result = push(&removal, parent, name);
  while (result == 0 && removal.depth > 0) {
    if (top(&removal)->next < top(&removal)->names.count)
      result = remove_next(&removal);
    else
      result = remove_top(&removal, parent, name);
  }
  if (result < 0)
    fail(failure, path);
  while (removal.depth > 0)
    drop_top(&removal);
  free(removal.frames);
  return result;
}

int remove_tree(const char *path, struct failure *failure) {
  char copy[PATH_MAX];
  size_t length = strlen(path);
  auto_close int parent = -1;
  char *slash;

  while (length > 1 && path[length - 1] == '/')
    length--;
  if (length >= sizeof copy)
    return fail_with(failure, ENAMETOOLONG, path);
  memcpy(copy, path, length);
  copy[length] = '\0';
  slash = strrchr(copy, '/');
  if (slash != NULL && slash[1] == '\0')
    return fail_with(failure, EINVAL, path);
  if (slash != NULL)
    *slash = '\0';
  parent = open(slash == NULL ? "." : slash == copy ? "/" : copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0)
    return errno == ENOENT ? 0 : fail(failure, path);
  return remove_entry(parent, slash == NULL ? copy : slash + 1, path, failure);
}

int step_remove_tree(const struct step *step, struct failure *failure) {
  return remove_tree(step->strings[0].bytes, failure);
}
