/* The step `list_changes`: what docker's diff shows. A file counts as changed when its looks differ from those below, a directory when it
 * holds a change or when owner or mode differ; what is below a new directory is new. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree_changes.h"

/* Marks of a directory that is being walked. */
enum { IN_LOWERS = 1, WRITTEN = 2 };

struct list {
  int output;
  struct buffer records;
  struct changed_tree tree;
  struct walk walk;
  struct buffer path; /* scratch */
};

static int flush(struct list *list) {
  int result = write_all(list->output, buffer_text(&list->records), list->records.length);

  buffer_cut(&list->records, 0);
  return result;
}

/* `path` is below the tree's root. The image's own root is never a change. */
static int write_record(struct list *list, char kind, const char *path) {
  if (path_in_container(&list->tree, path, &list->path) < 0)
    return -1;
  if (list->path.length == 0)
    return 0;
  if (buffer_append(&list->records, &kind, 1) < 0 || buffer_append(&list->records, "/", 1) < 0)
    return -1;
  if (buffer_append(&list->records, list->path.bytes, list->path.length + 1) < 0)
    return -1;
  return list->records.length > 65536 ? flush(list) : 0;
}

/* The directories that lead to a change are changes themselves, and come before it. */
static int write_parents(struct list *list) {
  struct walk *walk = &list->walk;

  for (size_t index = 0; index < walk->depth; index++) {
    struct walk_frame *frame = &walk->frames[index];
    char *end;
    char mark;
    int result;

    if ((frame->marks & WRITTEN) != 0)
      continue;
    frame->marks |= WRITTEN;
    end = walk->path.bytes + frame->path_length;
    mark = *end;
    *end = '\0';
    result = write_record(list, 'C', walk->path.bytes);
    *end = mark;
    if (result < 0)
      return -1;
  }
  return 0;
}

static int write_change(struct list *list, char kind, const char *path) {
  return write_parents(list) < 0 ? -1 : write_record(list, kind, path);
}

static bool same_time(const struct timespec *one, const struct timespec *other) {
  /* Archives without nanoseconds leave zeros. */
  return one->tv_sec == other->tv_sec && (one->tv_nsec == other->tv_nsec || one->tv_nsec == 0 || other->tv_nsec == 0);
}

static bool same_capability(int parent, int lower_parent, const char *name) {
  static const char attribute[] = "security.capability";
  auto_buffer struct buffer here = {0};
  auto_buffer struct buffer below = {0};

  if (attribute_value(parent, name, attribute, &here) < 0)
    buffer_cut(&here, 0);
  if (attribute_value(lower_parent, name, attribute, &below) < 0)
    buffer_cut(&below, 0);
  return here.length == below.length && memcmp(buffer_text(&here), buffer_text(&below), here.length) == 0;
}

static bool looks_same(const struct stat *here, const struct stat *below) {
  if (here->st_mode != below->st_mode || here->st_uid != below->st_uid || here->st_gid != below->st_gid || here->st_rdev != below->st_rdev)
    return false;
  /* The size and the time of a directory say nothing about it. */
  return S_ISDIR(here->st_mode) || (here->st_size == below->st_size && same_time(&here->st_mtim, &below->st_mtim));
}

/* Compare the entry with what lower layers have in its place. 0: unchanged, else the letter of the change, -1 with errno. */
static int compare(struct list *list, const struct stat *status, bool *in_lowers) {
  const struct changed_tree *tree = &list->tree;
  auto_close int parent = -1;
  struct stat below;
  int found = 0;

  if ((walk_top(&list->walk)->marks & IN_LOWERS) != 0)
    found = layers_find(tree->lowers, tree->lower_count, buffer_text(&list->walk.path), &parent, &below);
  if (found < 0)
    return -1;
  *in_lowers = found > 0 && S_ISDIR(below.st_mode);
  if (is_whiteout(status))
    return found > 0 ? 'D' : 0;
  if (found == 0)
    return 'A';
  return looks_same(status, &below) && same_capability(list->walk.directory, parent, list->walk.name) ? 0 : 'C';
}

/* An opaque directory hides all that lower layers have in it: walk over their names too. */
static int add_hidden_names(struct list *list) {
  for (uint32_t index = 0; index < list->tree.lower_count; index++) {
    const uint64_t resolve = RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS;
    auto_close int lower = open(list->tree.lowers[index].bytes, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_close int directory = -1;

    if (lower < 0)
      return -1;
    directory = open_resolved(lower, buffer_text(&list->walk.path), O_RDONLY | O_DIRECTORY, 0, resolve);
    if (directory < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      return -1;
    if (directory >= 0 && names_add(directory, &walk_top(&list->walk)->names) < 0)
      return -1;
  }
  return 0;
}

static int enter(struct list *list, uint32_t marks) {
  int entered = walk_enter(&list->walk, marks), opaque;

  if (entered <= 0)
    return entered;
  opaque = is_opaque(list->walk.directory);
  if (opaque <= 0 || (marks & IN_LOWERS) == 0)
    return opaque < 0 ? -1 : 0;
  return add_hidden_names(list);
}

static int visit(struct list *list) {
  struct walk *walk = &list->walk;
  struct stat status = {.st_mode = S_IFCHR}; /* what is not there counts as a whiteout */
  bool in_lowers = false;
  int kind;

  if (fstatat(walk->directory, walk->name, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
    return -1;
  kind = compare(list, &status, &in_lowers);
  if (kind < 0 || (kind > 0 && write_change(list, (char)kind, buffer_text(&walk->path)) < 0))
    return -1;
  if (!S_ISDIR(status.st_mode))
    return 0;
  return enter(list, (in_lowers ? IN_LOWERS : 0u) | (kind > 0 ? WRITTEN : 0u));
}

static int list_tree(struct list *list, struct failure *failure) {
  auto_close int upper = -1;
  int event = start_tree(&list->tree, &list->walk, &upper), result = 0;

  if (event == 0)
    return 0;
  if (event > 0)
    walk_top(&list->walk)->marks = IN_LOWERS;
  while (event >= 0 && result == 0 && (event = walk_next(&list->walk)) > 0)
    result = event == WALK_ENTRY ? visit(list) : 0;
  if (event < 0 || result < 0) {
    if (path_in_container(&list->tree, buffer_text(&list->walk.path), &list->path) < 0)
      return fail(failure, list->tree.upper);
    return fail(failure, buffer_text(&list->path));
  }
  return 0;
}

int step_list_changes(const struct step *step, struct failure *failure) {
  struct list list = {.output = (int)step->integers[0], .walk = {.directory = -1}};
  struct tree_cursor cursor = {0};
  int more, result = 0;

  while (result == 0 && (more = next_tree(step, &cursor, &list.tree, failure)) != 0) {
    result = more < 0 ? -1 : list_tree(&list, failure);
    walk_end(&list.walk);
  }
  if (result == 0 && flush(&list) < 0)
    result = fail(failure, "the list of changes");
  buffer_free(&list.records);
  buffer_free(&list.path);
  return result;
}
