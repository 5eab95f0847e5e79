/* The step `tar_changes`: the upper of an overlay as a layer. One tree of files always gives the same bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tar_changes.h"

/* How often a file is looked at again that is replaced between two looks. */
enum { TRIES = 8 };

int write_header(struct changes *changes, const char *path, const char *link) {
  return tar_write_header(&changes->writer, &(struct tar_entry){path, link, &changes->member});
}

/* The name of a whiteout, beside the entry at hand: ".wh.NAME" instead of NAME, or `inside` it. */
static int write_mark(struct changes *changes, const char *name, bool inside) {
  auto_buffer struct buffer path = {0};
  const char *own = changes->path.bytes, *slash = inside ? own + changes->path.length : strrchr(own, '/');

  if (buffer_set(&path, own, slash == NULL ? 0 : (size_t)(slash - own)) < 0 || buffer_append_name(&path, ".wh.") < 0)
    return -1;
  if (buffer_append(&path, name, strlen(name)) < 0)
    return -1;
  changes->member.type = TAR_FILE;
  changes->member.mode = 0;
  changes->member.uid = changes->member.gid = 0;
  changes->member.size = changes->member.file_size = 0;
  changes->member.seconds = 0;
  changes->member.nanoseconds = 0;
  changes->member.major = changes->member.minor = 0;
  changes->member.sparse = false;
  buffer_cut(&changes->member.attributes, 0);
  return write_header(changes, path.bytes, "");
}

static int enter(struct changes *changes) {
  int opaque, entered = walk_enter(&changes->walk, 0);

  if (entered <= 0)
    return entered;
  opaque = is_opaque(changes->walk.directory);
  if (opaque <= 0 || (changes->flags & CHANGES_WHOLE_IMAGE) != 0)
    return opaque < 0 ? -1 : 0;
  return write_mark(changes, ".wh..opq", true);
}

static int write_symlink(struct changes *changes) {
  char link[PATH_MAX];
  ssize_t length = readlinkat(changes->walk.directory, changes->walk.name, link, sizeof link - 1);

  if (length < 0)
    return -1;
  link[length] = '\0';
  return write_header(changes, changes->path.bytes, link);
}

/* A file whose content is in the archive already, under another name. 1: written as a link, 0: it is the first, or -1. */
static int write_hard_link(struct changes *changes, const struct stat *status) {
  const char *first;
  int result;

  if (status->st_nlink < 2 || S_ISDIR(status->st_mode))
    return 0;
  result = link_table_add(&changes->links, status, changes->path.bytes, &first);
  if (result <= 0)
    return result;
  changes->member.type = TAR_HARD_LINK;
  changes->member.size = changes->member.file_size = 0;
  return write_header(changes, changes->path.bytes, first) < 0 ? -1 : 1;
}

/* What a looked-at entry is, written. -1 with errno ENOENT or ESTALE: it has gone or become another file; nothing is written. */
static int write_entry(struct changes *changes, const struct stat *status) {
  const struct walk *walk = &changes->walk;
  auto_close int file = -1;
  int result;

  if (is_whiteout(status))
    return (changes->flags & CHANGES_WHOLE_IMAGE) != 0 ? 0 : write_mark(changes, walk->name, false);
  if (strncmp(walk->name, ".wh.", 4) == 0) {
    changes->name_is_reserved = true;
    errno = EINVAL;
    return -1;
  }
  if (!set_member_type(changes, status->st_mode))
    return 0;
  if (S_ISREG(status->st_mode) && (file = open_regular(walk->directory, walk->name, status)) < 0)
    return -1;
  if (fill_member(changes, status) < 0)
    return -1;
  result = write_hard_link(changes, status);
  if (result != 0)
    return result < 0 ? -1 : 0;
  if (S_ISREG(status->st_mode))
    return write_file(changes, file, status);
  if (S_ISLNK(status->st_mode))
    return write_symlink(changes);
  if (write_header(changes, changes->path.bytes, "") < 0)
    return -1;
  return S_ISDIR(status->st_mode) ? enter(changes) : 0;
}

static int visit(struct changes *changes) {
  struct walk *walk = &changes->walk;

  if (path_in_container(&changes->tree, buffer_text(&walk->path), &changes->path) < 0)
    return -1;
  for (int tries = 0;; tries++) {
    struct stat status;

    if (fstatat(walk->directory, walk->name, &status, AT_SYMLINK_NOFOLLOW) == 0 && write_entry(changes, &status) == 0)
      return 0;
    if (errno == ENOENT)
      return 0; /* removed while we look: the container is running */
    if (errno != ESTALE || tries == TRIES)
      return -1;
  }
}

/* The root of a tree below a prefix is a directory of the image like any other. The image's own root is left out, as docker does,
 * unless owner or mode say something that the layers below do not. */
static int write_root(struct changes *changes, int upper) {
  const struct changed_tree *tree = &changes->tree;
  struct stat status, below = {.st_mode = S_IFDIR | 0755};

  if (fstat(upper, &status) < 0 || path_in_container(tree, "", &changes->path) < 0)
    return -1;
  if (tree->lower_count > 0 && stat(tree->lowers[0].bytes, &below) < 0)
    return -1;
  if (changes->path.length == 0 && status.st_mode == below.st_mode && status.st_uid == below.st_uid && status.st_gid == below.st_gid)
    return 0;
  if (changes->path.length == 0 && buffer_set(&changes->path, ".", 1) < 0)
    return -1;
  changes->member.type = TAR_DIRECTORY;
  changes->walk.name = ".";
  return fill_member(changes, &status) < 0 ? -1 : write_header(changes, changes->path.bytes, "");
}

static int write_tree(struct changes *changes, struct failure *failure) {
  auto_close int upper = -1;
  int event = start_tree(&changes->tree, &changes->walk, &upper), result = 0;

  if (event == 0)
    return 0;
  if (event > 0)
    result = write_root(changes, upper);
  while (event >= 0 && result == 0 && (event = walk_next(&changes->walk)) > 0)
    result = event == WALK_ENTRY ? visit(changes) : 0;
  if (event >= 0 && result == 0)
    return 0;
  if (changes->name_is_reserved)
    return fail_because(failure, errno, buffer_text(&changes->path), "a layer can hold no file whose name begins with .wh.");
  return fail(failure, changes->path.length > 0 ? changes->path.bytes : changes->tree.upper);
}

static void free_changes(struct changes *changes) {
  tar_writer_close(&changes->writer);
  link_table_free(&changes->links);
  free(changes->member.extents);
  buffer_free(&changes->member.attributes);
  buffer_free(&changes->path);
  buffer_free(&changes->names);
  buffer_free(&changes->value);
}

int step_tar_changes(const struct step *step, struct failure *failure) {
  struct changes changes = {.flags = (uint32_t)step->integers[1], .walk = {.directory = -1}};
  struct tree_cursor cursor = {0};
  int more = 0, result = check_proc(failure);

  if (result == 0 && tar_writer_open(&changes.writer, (int)step->integers[0]) < 0)
    result = fail(failure, "the archive");
  while (result == 0 && (more = next_tree(step, &cursor, &changes.tree, failure)) != 0) {
    result = more < 0 ? -1 : write_tree(&changes, failure);
    walk_end(&changes.walk);
  }
  if (result == 0 && tar_writer_finish(&changes.writer) < 0)
    result = fail(failure, "the archive");
  free_changes(&changes);
  return result;
}
