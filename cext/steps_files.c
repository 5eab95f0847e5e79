/* Files that a container needs before its program runs: links, device nodes, directories, the content of new volumes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

int step_make_symlink(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *content = text_of(step, 0), *path = text_of(step, 1);
  auto_close int root = open_current_root(execution, failure);
  auto_close int above = -1;
  char name[NAME_MAX + 1];

  if (root < 0)
    return -1;
  above = open_parent(root, path, name, failure);
  if (above < 0)
    return -1;
  /* What is there already was put there by the image or by a mount of the user, who knows better. */
  if (symlinkat(content, above, name) < 0 && errno != EEXIST)
    return fail(failure, path);
  return 0;
}

/* Owner and mode of the node `name`, which we have just made; the descriptor makes sure that it is still that node. */
static int set_node_attributes(int above, const char *name, const struct step *step) {
  auto_close int node = open_resolved(above, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS);
  struct stat status;

  if (node < 0 || fstat(node, &status) < 0)
    return -1;
  if ((status.st_mode & S_IFMT) != (step->integers[0] & S_IFMT)) {
    errno = ESTALE;
    return -1;
  }
  return fchownat(node, "", (uid_t)step->integers[3], (gid_t)step->integers[4], AT_EMPTY_PATH);
}

int step_make_node(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);
  mode_t mode = (mode_t)step->integers[0];
  dev_t number = makedev((unsigned)step->integers[1], (unsigned)step->integers[2]);
  auto_close int root = open_current_root(execution, failure);
  auto_close int above = -1;
  char name[NAME_MAX + 1];
  struct stat status;

  if (root < 0)
    return -1;
  above = open_parent(root, path, name, failure);
  if (above < 0)
    return -1;
  if (mknodat(above, name, mode, number) == 0)
    return set_node_attributes(above, name, step) < 0 ? fail(failure, path) : 0;
  if (errno != EEXIST || fstatat(above, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return fail(failure, path);
  if ((status.st_mode & S_IFMT) != (mode & S_IFMT) || status.st_rdev != number)
    return fail_with(failure, EEXIST, path);
  return 0;
}

int step_make_directory(struct execution *execution, const struct step *step, struct failure *failure) {
  auto_close int root = open_current_root(execution, failure);
  auto_close int directory = -1;

  if (root < 0)
    return -1;
  directory = make_directory(root, text_of(step, 0), (mode_t)step->integers[0], (uid_t)step->integers[1],
                             (gid_t)step->integers[2], failure);
  return directory < 0 ? -1 : 0;
}

int step_prepare_directory(struct execution *execution, const struct step *step, struct failure *failure) {
  auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); /* of this machine: the step belongs before the pivot */
  auto_close int directory = -1;

  if (root < 0 || execution->pivoted)
    return fail_with(failure, EINVAL, text_of(step, 0));
  directory = make_directory(root, text_of(step, 0), (mode_t)step->integers[0], (uid_t)step->integers[1],
                             (gid_t)step->integers[2], failure);
  return directory < 0 ? -1 : 0;
}

int step_populate(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *source = text_of(step, 0), *target = text_of(step, 1);
  auto_close int from = -1;
  auto_close int to = -1;

  if (execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  from = open_in_root(execution->root, source, O_RDONLY | O_DIRECTORY, 0);
  if (from < 0) /* the image has no such directory: the volume stays as it is */
    return errno == ENOENT || errno == ENOTDIR ? 0 : fail(failure, source);
  to = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return to < 0 ? fail(failure, target) : populate_tree(from, to, failure);
}
