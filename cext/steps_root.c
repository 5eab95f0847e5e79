/* The root of the container: identity in the user namespace, propagation, open, pivot, read-only. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

int hide_process(void) {
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int step_become(struct execution *execution, const struct step *step, struct failure *failure) {
  uid_t uid = (uid_t)step->integers[0];
  gid_t gid = (gid_t)step->integers[1];

  (void)execution;
  /* The system calls themselves: the C library's versions do work for threads, which there are none of. */
  if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
    return fail(failure, "");
  return hide_process() < 0 ? fail(failure, "") : 0;
}

int step_propagation(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);

  (void)execution;
  return mount(NULL, path, NULL, (unsigned long)step->integers[0], NULL) < 0 ? fail(failure, path) : 0;
}

/* Make `path` a mount, which pivot_root asks for. The clone itself becomes the root: nothing is looked up by name again. */
static int bind_itself(const char *path) {
  auto_close int below = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  auto_close int tree = below < 0 ? -1 : open_tree_at(below, "", OPEN_TREE_CLONE | AT_RECURSIVE);

  if (tree < 0 || move_mount_onto(tree, below) < 0)
    return -1;
  return take_descriptor(&tree);
}

int step_open_root(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);
  int root = step->integers[0] == 1 ? bind_itself(path) : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (root < 0)
    return fail(failure, path);
  close_quietly(&execution->root);
  execution->root = root;
  return 0;
}

/* For a root on the initial ramfs, which cannot be pivoted away from: move the root over "/" and chroot into it. */
static int move_root(struct failure *failure) {
  if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
    return fail(failure, "/");
  return 0;
}

/* The old root ends up on top of the new one, and is unmounted from there; no directory is needed to put it on. */
static int swap_roots(int old, struct failure *failure) {
  if (syscall(SYS_pivot_root, ".", ".") < 0)
    return fail(failure, "/");
  /* Unmounting must not travel back to the mount namespace that the old root came from. */
  if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0)
    return fail(failure, "/");
  return 0;
}

int step_pivot(struct execution *execution, const struct step *step, struct failure *failure) {
  auto_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  if (old < 0 || fchdir(execution->root) < 0)
    return fail(failure, "/");
  if ((step->integers[0] == 1 ? move_root(failure) : swap_roots(old, failure)) < 0)
    return -1;
  if (chdir("/") < 0)
    return fail(failure, "/");
  execution->pivoted = true;
  return 0;
}

int step_readonly_root(struct execution *execution, const struct step *step, struct failure *failure) {
  struct mount_attributes attributes = {.set = ATTRIBUTE_READ_ONLY};

  if (execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  /* Further mounts that the root is made of; what is mounted on them stays as it is. */
  for (uint32_t index = 0; index < step->string_count; index++) {
    const char *path = text_of(step, index);
    auto_close int mounted = open_in_root(execution->root, path, O_PATH, 0);
    if (mounted < 0 || set_mount_attributes(mounted, "", 0, &attributes) < 0)
      return fail(failure, path);
  }
  return set_mount_attributes(execution->root, "", 0, &attributes) < 0 ? fail(failure, "/") : 0;
}
