/* What a container has changed: overlay uppers against their lowers. Inside tar_changes.c and list_changes.c only. */
#ifndef OCIRUN_TREE_CHANGES_H
#define OCIRUN_TREE_CHANGES_H

#include "tree_walk.h"

/* flags of the steps */
enum { CHANGES_RESTORE_OWNERS = 1, CHANGES_WHOLE_IMAGE = 2 };

/* One overlay: where it is mounted in the container ("" or "usr"), and its directories. */
struct changed_tree {
  const char *prefix;
  const char *upper;
  const struct plan_string *lowers; /* top first */
  uint32_t lower_count;
};

/* The trees of a step, one after another. Start with {0}. 1: *tree is filled, 0: no more, -1: the step is malformed. */
struct tree_cursor {
  uint32_t tree;
  uint32_t string;
};
must_check int next_tree(const struct step *step, struct tree_cursor *cursor, struct changed_tree *tree, struct failure *failure);
/* Open the upper and start to walk it. 1, 0 when the upper does not exist (nothing has changed), or -1 with errno. */
must_check int start_tree(const struct changed_tree *tree, struct walk *walk, int *upper);
/* `path` below the prefix, as archives and lists name it. 0, or -1 with errno. */
must_check int path_in_container(const struct changed_tree *tree, const char *path, struct buffer *result);

#endif
