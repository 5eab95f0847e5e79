/* The walk, and the table of hard links; tree_walk.h says what they promise. */
#include "tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct link_slot {
  dev_t device;
  ino_t inode; /* 0: free */
  size_t path;
};

struct walk_frame *walk_top(const struct walk *walk) {
  return &walk->frames[walk->depth - 1];
}

static int open_here(struct walk *walk) {
  const char *path = buffer_text(&walk->path);

  close_quietly(&walk->directory);
  walk->directory = open_resolved(walk->root, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY, 0,
                                  RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS | RESOLVE_WITHOUT_MOUNTS);
  return walk->directory;
}

/* The directory at walk->path is open: read its entries. */
static int push(struct walk *walk, uint32_t marks) {
  if (walk->depth == walk->capacity) {
    size_t capacity = walk->capacity == 0 ? 16 : walk->capacity * 2;
    struct walk_frame *frames = realloc(walk->frames, capacity * sizeof *frames);

    if (frames == NULL)
      return -1;
    walk->frames = frames;
    walk->capacity = capacity;
  }
  walk->frames[walk->depth] = (struct walk_frame){.path_length = walk->path.length, .marks = marks};
  if (names_read(walk->directory, &walk->frames[walk->depth].names) < 0)
    return -1;
  walk->depth++;
  return 0;
}

int walk_start(struct walk *walk, int root) {
  *walk = (struct walk){.root = root, .directory = -1};
  if (buffer_set(&walk->path, "", 0) < 0 || open_here(walk) < 0)
    return -1;
  return push(walk, 0);
}

int walk_next(struct walk *walk) {
  struct walk_frame *frame = walk_top(walk);

  buffer_cut(&walk->path, frame->path_length);
  if (walk->leaving) {
    walk->leaving = false;
    names_free(&frame->names);
    walk->depth--;
    if (walk->depth == 0)
      return WALK_END;
    frame = walk_top(walk);
    buffer_cut(&walk->path, frame->path_length);
    if (open_here(walk) < 0)
      return -1;
  }
  if (frame->next == frame->names.count) {
    walk->leaving = true;
    return WALK_LEAVE;
  }
  walk->name = frame->names.items[frame->next++];
  return buffer_append_name(&walk->path, walk->name) < 0 ? -1 : WALK_ENTRY;
}

int walk_enter(struct walk *walk, uint32_t marks) {
  int error;

  if (open_here(walk) >= 0)
    return push(walk, marks) < 0 ? -1 : 1;
  error = errno;
  if (error != ENOENT && error != ENOTDIR && error != ELOOP && error != EXDEV)
    return -1;
  /* Not a directory any more: go on in the one that held it. */
  buffer_cut(&walk->path, walk_top(walk)->path_length);
  return open_here(walk) < 0 ? -1 : 0;
}

void walk_end(struct walk *walk) {
  while (walk->depth > 0)
    names_free(&walk->frames[--walk->depth].names);
  free(walk->frames);
  buffer_free(&walk->path);
  close_quietly(&walk->directory);
  *walk = (struct walk){.directory = -1};
}

/* The slot of a file, or the free one where it belongs. */
static struct link_slot *find_slot(struct link_slot *slots, size_t capacity, dev_t device, ino_t inode) {
  size_t at = (size_t)(inode * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1);

  while (slots[at].inode != 0 && (slots[at].inode != inode || slots[at].device != device))
    at = (at + 1) & (capacity - 1);
  return &slots[at];
}

static int grow(struct link_table *table) {
  size_t capacity = table->capacity == 0 ? 256 : table->capacity * 2;
  struct link_slot *slots = calloc(capacity, sizeof *slots);

  if (slots == NULL)
    return -1;
  for (size_t index = 0; index < table->capacity; index++)
    if (table->slots[index].inode != 0)
      *find_slot(slots, capacity, table->slots[index].device, table->slots[index].inode) = table->slots[index];
  free(table->slots);
  table->slots = slots;
  table->capacity = capacity;
  return 0;
}

int link_table_add(struct link_table *table, const struct stat *status, const char *path, const char **first) {
  struct link_slot *slot;

  if (table->count * 2 >= table->capacity && grow(table) < 0)
    return -1;
  slot = find_slot(table->slots, table->capacity, status->st_dev, status->st_ino);
  if (slot->inode != 0) {
    *first = table->paths.bytes + slot->path;
    return 1;
  }
  *slot = (struct link_slot){status->st_dev, status->st_ino, table->paths.length};
  table->count++;
  return buffer_append(&table->paths, path, strlen(path) + 1);
}

void link_table_free(struct link_table *table) {
  free(table->slots);
  buffer_free(&table->paths);
  *table = (struct link_table){0};
}
