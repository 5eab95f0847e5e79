/* Walking a tree that somebody may be changing: one directory is open at a time, each is opened beneath the root and through no link. */
#ifndef OCIRUN_TREE_WALK_H
#define OCIRUN_TREE_WALK_H

#include "tree.h"

enum walk_event {
  WALK_END = 0,   /* the root is done */
  WALK_ENTRY = 1, /* walk->name in walk->directory; walk->path is its path from the root */
  WALK_LEAVE = 2  /* all entries of walk->path have been visited; walk->directory is that directory, for the last time */
};

struct walk_frame {
  struct names names;
  size_t next;
  size_t path_length;
  uint32_t marks; /* the user's */
};

struct walk {
  int root;
  int directory;
  const char *name;
  struct buffer path;
  struct walk_frame *frames;
  size_t depth, capacity;
  bool leaving;
};

/* Read the entries of `root`, which stays the caller's. 0, or -1 with errno. */
must_check int walk_start(struct walk *walk, int root);
/* An event, or -1 with errno. Entries come sorted by their bytes. */
must_check int walk_next(struct walk *walk);
/* Descend into the entry of the last event. 1: its entries come next, then WALK_LEAVE. 0: it is no directory any more, or a mount. -1 with errno. */
must_check int walk_enter(struct walk *walk, uint32_t marks);
/* The frame of walk->directory. */
struct walk_frame *walk_top(const struct walk *walk);
void walk_end(struct walk *walk);
#define auto_walk __attribute__((cleanup(walk_end)))

/* Files with several links: which path was first? */
struct link_table {
  struct link_slot *slots;
  size_t count, capacity;
  struct buffer paths;
};

/* 1: `*first` is the path given when this file was first seen (valid until the next call); 0: `path` is the first; -1 with errno. */
must_check int link_table_add(struct link_table *table, const struct stat *status, const char *path, const char **first);
void link_table_free(struct link_table *table);

#endif
