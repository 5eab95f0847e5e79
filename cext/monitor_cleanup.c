/* After the container's end: removing what `--rm` asks to be removed. */
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"

static void remove_all(const struct plan *plan) {
  struct failure failure;
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];
    if (step->kind == STEP_AFTER_EXIT_REMOVE && step->string_count == 1 && remove_tree(step->strings[0].bytes, &failure) < 0)
      continue; /* the others go all the same; the engine finds what stays */
  }
}

static bool has_work(const struct plan *plan) {
  for (uint32_t index = 0; index < plan->step_count; index++)
    if (plan->steps[index].kind == STEP_AFTER_EXIT_REMOVE)
      return true;
  return false;
}

bool cleanup_takes(const struct plan *plan, const char *path) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];
    if (step->kind != STEP_AFTER_EXIT_REMOVE || step->string_count != 1)
      continue;
    const struct plan_string *tree = &step->strings[0];
    if (strncmp(path, tree->bytes, tree->length) == 0 && (path[tree->length] == '/' || path[tree->length] == '\0'))
      return true;
  }
  return false;
}

void cleanup_after_exit(const struct monitor *monitor) {
  if (!has_work(monitor->plan))
    return;
  if (!(monitor->flags & MONITOR_USER_NAMESPACE) || monitor->container.user_namespace < 0) {
    remove_all(monitor->plan);
    return;
  }
  /* Files of the container's other users are ours only with the capabilities that joining its user namespace gives. It outlives the
   * container by our descriptor. The uid stays: capabilities do the work, and the way to the store may be open to this uid alone. */
  pid_t child = fork();
  if (child == 0) {
    int result = setns(monitor->container.user_namespace, CLONE_NEWUSER);
    remove_all(monitor->plan);
    leave(result < 0);
  }
  if (child > 0)
    (void)waitpid(child, NULL, 0);
}
