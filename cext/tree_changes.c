/* The trees that a step of changes names. */
#include "tree_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { FIRST_LOWER_COUNT = 2, STRINGS_BEFORE_LOWERS = 2 };

int next_tree(const struct step *step, struct tree_cursor *cursor, struct changed_tree *tree, struct failure *failure) {
  uint32_t left = step->string_count - cursor->string;
  uint64_t lowers;

  if (cursor->tree == step->integer_count - FIRST_LOWER_COUNT)
    return left == 0 ? 0 : fail_with(failure, EINVAL, "more directories than the step counts");
  lowers = step->integers[FIRST_LOWER_COUNT + cursor->tree];
  if (left < STRINGS_BEFORE_LOWERS || lowers > left - STRINGS_BEFORE_LOWERS)
    return fail_with(failure, EINVAL, "fewer directories than the step counts");
  tree->prefix = step->strings[cursor->string].bytes;
  tree->upper = step->strings[cursor->string + 1].bytes;
  tree->lowers = step->strings + cursor->string + STRINGS_BEFORE_LOWERS;
  tree->lower_count = (uint32_t)lowers;
  cursor->string += STRINGS_BEFORE_LOWERS + (uint32_t)lowers;
  cursor->tree++;
  return 1;
}

int start_tree(const struct changed_tree *tree, struct walk *walk, int *upper) {
  *upper = open(tree->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*upper < 0)
    return errno == ENOENT ? 0 : -1;
  return walk_start(walk, *upper) < 0 ? -1 : 1;
}

int path_in_container(const struct changed_tree *tree, const char *path, struct buffer *result) {
  if (buffer_set(result, tree->prefix, strlen(tree->prefix)) < 0)
    return -1;
  return path[0] == '\0' ? 0 : buffer_append_name(result, path);
}
