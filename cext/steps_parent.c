/* What the parent does for the child while it waits: id maps, cgroup. A user namespace cannot give itself more than one id. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

enum { MAX_HELPERS = 8 };

/* newuidmap or newgidmap at work. */
struct map_helper {
  uint32_t step;
  pid_t pid;
  int messages; /* what it writes to its standard error */
};

static int write_process_file(const struct execution *execution, pid_t pid, const char *name, const char *text,
                              struct failure *failure) {
  auto_close int file = -1;
  char path[64];

  snprintf(path, sizeof path, "%d/%s", (int)pid, name);
  file = openat(execution->proc, path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write_once(file, text, strlen(text)) < 0)
    return fail(failure, name);
  return 0;
}

static int enter_cgroup(const struct step *step, pid_t child, struct failure *failure) {
  auto_close int cgroup = open(text_of(step, 0), O_PATH | O_DIRECTORY | O_CLOEXEC);
  auto_close int file = cgroup < 0 ? -1 : openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  char text[16];

  snprintf(text, sizeof text, "%d", (int)child);
  if (file < 0 || write_once(file, text, strlen(text)) < 0)
    return fail(failure, text_of(step, 0));
  return 0;
}

static int spawn_with_messages(pid_t *pid, const char *program, char *const arguments[], int messages) {
  char *environment[] = {NULL};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);

  if (error == 0) {
    error = posix_spawn_file_actions_adddup2(&actions, messages, 2);
    if (error == 0)
      error = posix_spawn(pid, program, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
  }
  errno = error;
  return error == 0 ? 0 : -1;
}

static int start_helper(const struct step *step, pid_t child, struct map_helper *helper, struct failure *failure) {
  const char *program = text_of(step, 0);
  char **arguments = calloc(step->string_count + 2, sizeof *arguments);
  int ends[2], result;
  char number[16];

  if (arguments == NULL)
    return fail(failure, program);
  if (pipe2(ends, O_CLOEXEC) < 0) {
    free(arguments);
    return fail(failure, program);
  }
  snprintf(number, sizeof number, "%d", (int)child);
  arguments[0] = (char *)(uintptr_t)program;
  arguments[1] = number;
  for (uint32_t index = 1; index < step->string_count; index++)
    arguments[index + 1] = (char *)(uintptr_t)text_of(step, index);
  result = spawn_with_messages(&helper->pid, program, arguments, ends[1]);
  free(arguments);
  close_quietly(&ends[1]);
  if (result < 0) {
    close_quietly(&ends[0]);
    return fail(failure, program);
  }
  helper->messages = ends[0];
  return 0;
}

/* Wait for a helper. What it said becomes the path of the failure, for it knows best why it refused. */
static int finish_helper(const struct step *step, struct map_helper *helper, struct failure *failure) {
  char text[512];
  size_t length = 0;
  int status = 0;
  ssize_t count;

  while ((count = read(helper->messages, text + length, sizeof text - 1 - length)) != 0) {
    if (count > 0)
      length += (size_t)count;
    else if (errno != EINTR)
      break;
    if (length == sizeof text - 1)
      break;
  }
  close_quietly(&helper->messages);
  while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
    continue;
  if (status == 0)
    return 0;
  text[length] = '\0';
  text[strcspn(text, "\n")] = '\0';
  failure->step = (int32_t)helper->step;
  return fail_with(failure, EPERM, text[0] == '\0' ? text_of(step, 0) : text);
}

/* Start all helpers at once: the maps of users and of groups do not depend on each other. */
static int start_helpers(const struct plan *plan, pid_t child, struct map_helper *helpers, size_t *count, struct failure *failure) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    if (plan->steps[index].kind != STEP_ID_MAP_HELPER)
      continue;
    failure->step = (int32_t)index;
    if (*count == MAX_HELPERS)
      return fail_with(failure, E2BIG, text_of(&plan->steps[index], 0));
    helpers[*count].step = index;
    if (start_helper(&plan->steps[index], child, &helpers[*count], failure) < 0)
      return -1;
    (*count)++;
  }
  return 0;
}

static int run_other_steps(const struct execution *execution, pid_t child, struct failure *failure) {
  for (uint32_t index = 0; index < execution->plan->step_count; index++) {
    const struct step *step = &execution->plan->steps[index];
    int result = 0;

    failure->step = (int32_t)index;
    if (step->kind == STEP_ID_MAP_WRITE)
      result = write_process_file(execution, child, step->integers[0] == 1 ? "gid_map" : "uid_map", text_of(step, 0), failure);
    else if (step->kind == STEP_DENY_SETGROUPS)
      result = write_process_file(execution, child, "setgroups", "deny", failure);
    else if (step->kind == STEP_CGROUP_ENTER)
      result = enter_cgroup(step, child, failure);
    if (result < 0)
      return -1;
  }
  return 0;
}

int run_parent_steps(struct execution *execution, pid_t child, struct failure *failure) {
  struct map_helper helpers[MAX_HELPERS] = {{0}};
  struct failure later = {.step = -1};
  size_t count = 0;
  int result = start_helpers(execution->plan, child, helpers, &count, failure);

  if (result == 0)
    result = run_other_steps(execution, child, failure);
  /* All helpers are waited for, also after a failure, which then is the one to report. */
  for (size_t index = 0; index < count; index++)
    if (finish_helper(&execution->plan->steps[helpers[index].step], &helpers[index], result < 0 ? &later : failure) < 0)
      result = -1;
  return result;
}

int set_oom_score(struct execution *execution, struct failure *failure) {
  for (uint32_t index = 0; index < execution->plan->step_count; index++) {
    const struct step *step = &execution->plan->steps[index];
    auto_close int file = -1;
    char text[16];

    if (step->kind != STEP_OOM_SCORE)
      continue;
    failure->step = (int32_t)index;
    snprintf(text, sizeof text, "%d", (int)(int32_t)step->integers[0]);
    file = openat(execution->proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write_once(file, text, strlen(text)) < 0)
      return fail(failure, text);
  }
  return 0;
}
