/* The last step: the program itself. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *find_path(char *const environment[]) {
  for (; *environment != NULL; environment++)
    if (strncmp(*environment, "PATH=", 5) == 0)
      return *environment + 5;
  return DEFAULT_PATH;
}

/* Go on with the next directory of PATH after these? Anything else is about the program that was found. */
static bool means_elsewhere(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENAMETOOLONG;
}

/* Try each directory of PATH. Empty entries mean the working directory to a shell; here they mean nothing, so that an image cannot
 * be made to run what somebody else has put into a volume. Returns only when nothing was executed, with errno. */
static void search(const char *path, const char *word, char *const arguments[], char *const environment[]) {
  char program[PATH_MAX];
  size_t name = strlen(word);
  int error = ENOENT;

  if (name == 0)
    path = ""; /* the empty word is no program's name; a directory would be found */
  for (const char *next; *path != '\0'; path = next) {
    size_t length = strcspn(path, ":");

    next = path + length + (path[length] == ':');
    if (length == 0 || length + name + 2 > sizeof program)
      continue;
    memcpy(program, path, length);
    program[length] = '/';
    memcpy(program + length + 1, word, name + 1);
    execve(program, arguments, environment);
    if (!means_elsewhere(errno))
      return;
    if (errno == EACCES)
      error = EACCES; /* something of that name is there, so "not found" would mislead */
  }
  errno = error;
}

/* Two NULL-terminated lists in one allocation: the arguments, and behind them the environment. */
static char **make_lists(const struct step *step, uint32_t argument_count) {
  char **lists = calloc((size_t)step->string_count + 2, sizeof *lists);

  if (lists == NULL)
    return NULL;
  for (uint32_t index = 0; index < step->string_count; index++)
    lists[index + (index >= argument_count)] = (char *)(uintptr_t)text_of(step, index);
  return lists;
}

int prepare_exec(struct execution *execution) {
  if (execution->prepared)
    return 0;
  execution->prepared = true;
  umask(execution->mask);
  return close_descriptors(3, UINT_MAX, CLOSE_RANGE_ON_EXEC);
}

int step_command(struct execution *execution, const struct step *step, struct failure *failure) {
  uint32_t argument_count = (uint32_t)step->integers[0];
  char **arguments = make_lists(step, argument_count), **environment;

  if (arguments == NULL)
    return fail(failure, text_of(step, 0));
  environment = arguments + argument_count + 1;
  if (step->integers[1] == 1 && become_reaper(failure) < 0) {
    free(arguments);
    return -1;
  }
  if (prepare_exec(execution) == 0 && report_send(execution->theirs, REPORT_EXECUTING, NULL, 0, -1) == 0) {
    if (strchr(text_of(step, 0), '/') != NULL)
      execve(text_of(step, 0), arguments, environment);
    else
      search(find_path(environment), text_of(step, 0), arguments, environment);
  }
  fail(failure, text_of(step, 0));
  free(arguments);
  return -1;
}
