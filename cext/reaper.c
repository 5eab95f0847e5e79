/* Process 1 of a container with --init: starts the program, passes signals on to it, reaps orphans, and ends with the program's status. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "execution.h"
#include "launch.h"
#include "system_calls.h"

static int exit_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reap what has ended. The status of `program` when it is among them, else -1. */
static int reap(pid_t program) {
  int status;
  pid_t pid;

  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    if (pid == program)
      return exit_status(status);
  return -1;
}

/* `all` is blocked, so that no signal is lost between two waits; the kernel queues even those that process 1 would ignore. */
static int serve(pid_t program, const sigset_t *all) {
  siginfo_t information;
  int signal, status;

  for (;;) {
    signal = sigwaitinfo(all, &information);
    if (signal == SIGCHLD) {
      status = reap(program);
      if (status >= 0)
        return status;
    } else if (signal > 0) {
      kill(program, signal); /* it may be gone already; then SIGCHLD is next */
    }
  }
}

/* The program leads a process group, in the foreground when there is a terminal: ^C reaches it once, and not us. */
static int lead_group(const sigset_t *none) {
  if (setpgid(0, 0) < 0)
    return -1;
  if (isatty(0) && tcsetpgrp(0, getpid()) < 0 && errno != ENOTTY)
    return -1;
  return sigprocmask(SIG_SETMASK, none, NULL);
}

int become_reaper(struct failure *failure) {
  sigset_t all, none;
  pid_t program;

  sigfillset(&all);
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
    return fail(failure, "");
  program = fork_with(0);
  if (program < 0)
    return fail(failure, "");
  if (program == 0)
    return lead_group(&none) < 0 ? fail(failure, "") : 0;
  /* The report socket among others: the launcher waits for its last copy to close. From here on this is a process of the container like
   * any other, with its rights and its filter; setns(2) to what nobody may look into is refused to an ordinary user's exec. */
  if (close_descriptors(3, UINT_MAX, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
    leave(1);
  leave(serve(program, &all));
}
