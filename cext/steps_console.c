/* The terminal of the program. It is opened in the container's own devpts, and everything about it is done by descriptor: a container
 * that puts something else in the place of /dev/console or /dev/pts gains nothing by it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

enum { MULTIPLEXER_MAJOR = 5, MULTIPLEXER_MINOR = 2, FIRST_TERMINAL_MAJOR = 136, LAST_TERMINAL_MAJOR = 143 };

static int open_master(int root) {
  auto_close int master = open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  int unlocked = 0;

  if (master < 0)
    return -1;
  errno = ENODEV;
  if (check_character_device(master, MULTIPLEXER_MAJOR, MULTIPLEXER_MINOR) < 0 || !is_on(master, DEVPTS_SUPER_MAGIC))
    return -1;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
    return -1;
  return take_descriptor(&master);
}

static int open_peer(int master) {
  auto_close int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct stat status;

  if (peer < 0 || fstat(peer, &status) < 0)
    return -1;
  errno = ENODEV;
  if (!S_ISCHR(status.st_mode) || major(status.st_rdev) < FIRST_TERMINAL_MAJOR || major(status.st_rdev) > LAST_TERMINAL_MAJOR)
    return -1;
  return take_descriptor(&peer);
}

/* The program's user owns its terminal, as after a login, and can open it again by name. */
static int give_to_user(const struct execution *execution, int peer) {
  for (uint32_t index = 0; index < execution->plan->step_count; index++) {
    const struct step *step = &execution->plan->steps[index];

    if (step->kind == STEP_CREDENTIALS)
      return fchown(peer, (uid_t)step->integers[0], (gid_t)-1);
  }
  return 0;
}

static int bind_console(const struct execution *execution, int peer, struct failure *failure) {
  auto_close int tree = open_tree_at(peer, "", OPEN_TREE_CLONE);

  if (tree < 0)
    return fail(failure, "/dev/console");
  return attach_tree(execution, tree, "/dev/console", true, false, failure);
}

int step_console(struct execution *execution, const struct step *step, struct failure *failure) {
  struct winsize size = {.ws_row = (unsigned short)step->integers[0], .ws_col = (unsigned short)step->integers[1]};
  auto_close int root = open_current_root(execution, failure);
  auto_close int master = -1;
  auto_close int peer = -1;

  if (root < 0)
    return -1;
  master = open_master(root);
  peer = master < 0 ? -1 : open_peer(master);
  if (peer < 0 || give_to_user(execution, peer) < 0)
    return fail(failure, "/dev/pts/ptmx");
  if (size.ws_row != 0 && size.ws_col != 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
    return fail(failure, "/dev/pts/ptmx");
  /* Without a root of its own this is a session in a running container, which has its console already. */
  if (execution->root >= 0 && bind_console(execution, peer, failure) < 0)
    return -1;
  if (ioctl(peer, TIOCSCTTY, 0) < 0 || dup2(peer, 0) < 0 || dup2(peer, 1) < 0 || dup2(peer, 2) < 0)
    return fail(failure, "/dev/console");
  return report_send(execution->theirs, REPORT_TERMINAL, NULL, 0, master) < 0 ? fail(failure, "") : 0;
}
