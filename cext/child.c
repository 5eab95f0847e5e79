/* The child: from the clone to its first step. Between here and exec nothing of the launcher may be reachable from inside the container:
 * not its memory (PR_SET_DUMPABLE 0), not its descriptors, not its signal settings. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"
#include "system_calls.h"

enum { CHILD_REPORT = 3, CHILD_PROC = 4, FIRST_TO_CLOSE = 5, ABOVE_ALL_OF_THESE = 16 };

static int reset_signals(void) {
  /* The kernel's structure, all zero: SIG_DFL. The C library's call refuses its own two signals, which posix_spawn leaves ignored. */
  const unsigned long defaults[4] = {0};
  sigset_t none;

  for (int number = 1; number < _NSIG; number++)
    (void)syscall(SYS_rt_sigaction, number, defaults, NULL, _NSIG / 8); /* fails for SIGKILL and its like, which are as they should be */
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0, 1, 2 become the program's; the report socket and /proc get numbers of their own; all else is closed. Everything moves out of the
 * way first, since any descriptor may have any number. */
static int arrange_descriptors(struct execution *execution) {
  int above[5] = {execution->standard[0], execution->standard[1], execution->standard[2], execution->theirs, execution->proc};

  for (int index = 0; index < 5; index++) {
    above[index] = fcntl(above[index], F_DUPFD_CLOEXEC, ABOVE_ALL_OF_THESE);
    if (above[index] < 0)
      return -1;
  }
  for (int index = 0; index < 3; index++)
    if (dup2(above[index], index) < 0)
      return -1;
  if (dup3(above[3], CHILD_REPORT, O_CLOEXEC) < 0 || dup3(above[4], CHILD_PROC, O_CLOEXEC) < 0)
    return -1;
  execution->theirs = CHILD_REPORT;
  execution->proc = CHILD_PROC;
  return close_descriptors(FIRST_TO_CLOSE, UINT_MAX, 0);
}

/* Wait for the parent to write the id maps. False when it died instead. */
static bool wait_for_go(const struct execution *execution) {
  char letter = 0;
  ssize_t count;

  do
    count = read(execution->theirs, &letter, 1);
  while (count < 0 && errno == EINTR);
  return count == 1 && letter == REPORT_GO;
}

static int prepare(struct execution *execution, struct failure *failure) {
  umask(0);
  if (execution->task)
    return 0;
  if (reset_signals() < 0 || arrange_descriptors(execution) < 0)
    return fail(failure, "descriptors");
  if (setsid() < 0)
    return fail(failure, "session");
  return 0;
}

static int run(struct execution *execution, struct failure *failure) {
  close_quietly(&execution->ours);
  if (prepare(execution, failure) < 0 || (!execution->joined && set_oom_score(execution, failure) < 0))
    return -1;
  if (!wait_for_go(execution))
    leave(1);
  /* Not earlier: until now the parent had to write to our files in /proc, which belong to the user only as long as we are dumpable. */
  if (hide_process() < 0)
    return fail(failure, "");
  if (execution->late_flags != 0 && unshare((int)execution->late_flags) < 0)
    return fail(failure, "cgroup namespace");
  return run_child_steps(execution, failure);
}

static _Noreturn void be_child(struct execution *execution, int clone_step) {
  struct failure failure = {.step = clone_step};
  int sent;

  if (run(execution, &failure) == 0) {
    sent = report_send(execution->theirs, REPORT_DONE, NULL, 0, -1);
    leave(sent < 0 ? 1 : 0);
  }
  sent = report_send(execution->theirs, REPORT_FAILURE, &failure, sizeof failure, -1);
  leave(sent < 0 ? 2 : 1);
}

const struct step *find_step(const struct plan *plan, enum step_kind kind, int *index) {
  for (uint32_t position = 0; position < plan->step_count; position++)
    if (plan->steps[position].kind == (uint32_t)kind) {
      if (index != NULL)
        *index = (int)position;
      return &plan->steps[position];
    }
  return NULL;
}

pid_t clone_child(struct execution *execution, uint64_t more_flags, struct failure *failure) {
  int index = -1;
  const struct step *step = find_step(execution->plan, STEP_CLONE, &index);
  uint64_t flags = step == NULL ? 0 : step->integers[0];
  pid_t pid;

  failure->step = index;
  /* The cgroup namespace takes the cgroup of that moment as its root, so it comes after cgroup_enter. */
  execution->late_flags = (uint32_t)(flags & CLONE_NEWCGROUP);
  pid = fork_with((flags & ~(uint64_t)CLONE_NEWCGROUP) | more_flags);
  if (pid == 0)
    be_child(execution, index);
  return pid < 0 ? fail(failure, "") : pid;
}
