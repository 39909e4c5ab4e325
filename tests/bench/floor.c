/* The floor: the least that a supervisor can do, and nothing else.
 *
 *     floor WORKER FIFO COUNT
 *
 * Starts COUNT workers (worker.c) by vfork and execve, waits for SIGCHLD in sigwaitinfo, and starts again whatever
 * waitpid says has ended. No session, no pipes, no log, no restart intensity. TERM ends it, and the workers with it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_PIDS = 4 * 1024 * 1024 }; /* the kernel's PID_MAX_LIMIT, proc(5) */

static int slot_of[MOST_PIDS];
static sigset_t nothing;

static pid_t start(char *worker, char *fifo, int slot)
{
    char number[16];
    char *words[] = {worker, fifo, number, NULL};
    snprintf(number, sizeof number, "%d", slot);
    pid_t pid = vfork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &nothing, NULL);
        execve(worker, words, environ);
        _exit(127);
    }
    if (pid < 0) {
        perror("cannot start a worker: vfork");
        exit(1);
    }
    slot_of[pid] = slot;
    return pid;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int count = atoi(argv[3]);
    pid_t *pids = calloc((size_t)count, sizeof *pids);
    sigset_t awaited;
    sigemptyset(&nothing);
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* should the benchmark itself be killed */
    for (int slot = 0; slot < count; slot++)
        pids[slot] = start(argv[1], argv[2], slot);
    while (sigwaitinfo(&awaited, NULL) != SIGTERM) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            if (WIFEXITED(status)) {
                fprintf(stderr, "worker %d ended with %d\n", slot_of[pid], WEXITSTATUS(status));
                return 1;
            }
            pids[slot_of[pid]] = start(argv[1], argv[2], slot_of[pid]);
        }
    }
    for (int slot = 0; slot < count; slot++)
        kill(pids[slot], SIGKILL);
    while (wait(NULL) > 0)
        continue;
    return 0;
}
