/* command.c -- a letter is given to a command (handoff.h) */
#include "delivery/handoff.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { SAID_MOST = 4096, HEARD_MOST = 1 << 20, WORDS_MOST = 200 };

/* ---- what it means ---- */

/* clang-format off */
static const struct meaning { int status; const char *dsn, *text; } meanings[] = {
	{ EX_USAGE,       "5.3.0", "command line usage error"       },
	{ EX_DATAERR,     "5.6.0", "data format error"              },
	{ EX_NOINPUT,     "5.3.0", "cannot open input"              },
	{ EX_NOUSER,      "5.1.1", "user unknown"                   },
	{ EX_NOHOST,      "5.1.2", "host name unknown"              },
	{ EX_UNAVAILABLE, "5.3.0", "service unavailable"            },
	{ EX_SOFTWARE,    "5.3.0", "internal software error"        },
	{ EX_OSERR,       "4.3.0", "system resource problem"        },
	{ EX_OSFILE,      "5.3.0", "critical OS file missing"       },
	{ EX_CANTCREAT,   "5.2.0", "can't create user output file"  },
	{ EX_IOERR,       "5.3.0", "input/output error"             },
	{ EX_TEMPFAIL,    "4.3.0", "temporary failure"              },
	{ EX_PROTOCOL,    "5.5.0", "remote error in protocol"       },
	{ EX_NOPERM,      "5.7.0", "permission denied"              },
	{ EX_CONFIG,      "5.3.5", "local configuration error"      },
};
/* clang-format on */

static size_t
digits(struct bytes b, size_t from)
{
	size_t n = 0;

	while (from + n < b.len && b.at[from + n] >= '0' && b.at[from + n] <= '9')
		n++;
	return n;
}

/* rfc3463:2  class "." subject "." detail; the length of one at the front that is followed by a blank, or 0 */
static size_t
status_length(struct bytes b)
{
	size_t subject, detail;

	if (b.len < 6 || (b.at[0] != '4' && b.at[0] != '5') || b.at[1] != '.')
		return 0;
	subject = digits(b, 2);
	if (subject == 0 || subject > 3 || 2 + subject >= b.len || b.at[2 + subject] != '.')
		return 0;
	detail = digits(b, 3 + subject);
	if (detail == 0 || detail > 3 || 3 + subject + detail >= b.len ||
	    b.at[3 + subject + detail] != ' ')
		return 0;
	return 3 + subject + detail;
}

/* One line, of characters a reply may have. */
static const char *
plain_line(struct bytes b, struct arena *a)
{
	char *copy;

	b = bytes_trim(b);
	copy = arena_take(a, b.len + 1);
	for (size_t i = 0; i < b.len; i++)
		copy[i] = (unsigned char)b.at[i] < 0x20 || (unsigned char)b.at[i] >= 0x7f ? ' '
		                                                                          : b.at[i];
	return copy;
}

static struct delivery_answer
answer(const char *dsn, const char *text)
{
	return (struct delivery_answer){ dsn[0] == '4' ? DELIVERY_LATER : DELIVERY_REFUSED, false,
		                         dsn, text };
}

struct delivery_answer
command_answer(int status, struct bytes command, struct bytes said, struct bytes service,
               struct arena *a)
{
	size_t      n = status_length(said);
	const char *line = plain_line(said, a);

	if (WIFSIGNALED(status))
		return answer("4.3.0",
		              arena_printf(a, "Command died with signal %d: \"%.*s\"",
		                           WTERMSIG(status), (int)command.len, command.at));
	if (WEXITSTATUS(status) == 0 && service.len > 0)
		return (struct delivery_answer){ DELIVERY_DONE, false, "2.0.0",
			                         arena_printf(a, "delivered via %.*s service%s%s%s",
			                                      (int)service.len, service.at,
			                                      *line != '\0' ? " (" : "", line,
			                                      *line != '\0' ? ")" : "") };
	if (WEXITSTATUS(status) == 0)
		return (struct delivery_answer){ DELIVERY_DONE, false, "2.0.0",
			                         arena_printf(a, "delivered to command: %.*s",
			                                      (int)command.len, command.at) };
	if (n > 0)
		return answer(arena_copy(a, bytes_cut(said, 0, n)),
		              plain_line(bytes_cut(said, n, said.len), a));
	for (size_t i = 0; i < COUNT(meanings); i++)
		if (meanings[i].status == WEXITSTATUS(status))
			return answer(meanings[i].dsn,
			              *line == '\0' ? meanings[i].text
			                            : arena_printf(a, "%s. Command output: %s",
			                                           meanings[i].text, line));
	return answer("5.3.0", arena_printf(a, "Command died with status %d: \"%.*s\"%s%s",
	                                    WEXITSTATUS(status), (int)command.len, command.at,
	                                    *line != '\0' ? ". Command output: " : "", line));
}

/* ---- in its process ---- */

/* Words that are no program but a shell's own. */
static bool
is_of_shell(struct bytes word)
{
	static const char *const own[] = { "!",    "if",     "then",   "for",    "while", "case",
		                           "do",   "export", "set",    "unset",  "cd",    "eval",
		                           "exec", "exit",   "umask",  "ulimit", "trap",  "wait",
		                           "read", "return", "source", ".",      ":" };

	for (size_t i = 0; i < COUNT(own); i++)
		if (bytes_is(word, own[i]))
			return true;
	return bytes_find(word, '=') >= 0;
}

/* Nothing but plain words: no shell is needed. */
static size_t
words_of(struct bytes command, struct arena *a, const char **word)
{
	static const char plain[] = "1234567890!@%-_=+:,./ \t"
				    "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct bytes      rest = command, part;
	size_t            n = 0;

	for (size_t i = 0; i < command.len; i++)
		if (command.at[i] == '\0' || strchr(plain, command.at[i]) == NULL)
			return 0;
	while (bytes_split(&rest, ' ', &part)) {
		part = bytes_trim(part);
		if (part.len == 0)
			continue;
		if (n == WORDS_MOST || bytes_find(part, '\t') >= 0 || (n == 0 && is_of_shell(part)))
			return 0;
		word[n++] = arena_copy(a, part);
	}
	return n;
}

/* Those of a pipe: each has its NUL. */
static void
words_split(struct bytes what, struct arena *a, const char **word)
{
	size_t n = 0;

	for (ptrdiff_t end; n < PIPE_WORDS_MOST && (end = bytes_find(what, '\0')) >= 0; n++) {
		word[n] = arena_copy(a, bytes_cut(what, 0, (size_t)end));
		what = bytes_cut(what, (size_t)end + 1, SIZE_MAX);
	}
	word[n] = NULL;
}

/* A pipe's directory is its own as well. */
static struct bytes
directory_of(const struct handoff *e)
{
	return e->kind == HANDOFF_PIPE ? e->home : e->directory;
}

/* Where it runs, and under which group. */
static bool
settle_in(const struct handoff *e, struct arena *a)
{
	struct bytes there = directory_of(e);
	uint64_t     group;
	gid_t        own = getgid();

	if (e->group.len > 0 && (!bytes_number(e->group, &group) || group > UINT32_MAX))
		return false;
	if (e->group.len > 0)
		own = (gid_t)group;
	/* The one a pipe of this user has stays with none of the others. */
	if (setresgid(own, own, own) < 0)
		return false;
	if (there.len > 0)
		return chdir(arena_copy(a, there)) == 0;
	return (e->kind != HANDOFF_PIPE && chdir(arena_copy(a, e->home)) == 0) || chdir("/") == 0;
}

/* Of two with one name the later holds. */
static void
variable_put(const char **variable, struct bytes one, struct arena *a)
{
	size_t name = (size_t)(bytes_find(one, '=') + 1), at = 0;

	while (variable[at] != NULL && strncmp(variable[at], one.at, name) != 0)
		at++;
	variable[at] = arena_copy(a, one);
}

/* Those it is to have, and whatever they say its PATH, which is ours. */
static const char **
variables_of(const struct handoff *e, struct arena *a)
{
	struct bytes rest = e->environment, part;
	const char **variable;
	size_t       count = 0;

	while (bytes_split(&rest, '\0', &part))
		count++;
	variable = arena_take_array(a, count + 2, sizeof *variable);
	rest = e->environment;
	while (bytes_split(&rest, '\0', &part))
		if (bytes_find(part, '=') > 0)
			variable_put(variable, part, a);
	variable_put(variable, BYTES("PATH=" _PATH_DEFPATH), a);
	return variable;
}

static _Noreturn void
become_command(const struct handoff *e, int in, int out, struct arena *a)
{
	const char **word = arena_take_array(a, PIPE_WORDS_MOST + 1, sizeof *word);
	struct bytes there;
	const char  *shell = e->shell.len > 0 ? arena_copy(a, e->shell) : _PATH_BSHELL;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)setsid();
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(EX_OSERR);
	(void)close_range(3, ~0U, 0);
	if (!settle_in(e, a)) {
		there = directory_of(e);
		(void)fprintf(stderr, "4.3.0 cannot run in %.*s: %s\n", (int)there.len, there.at,
		              strerror(errno));
		_exit(EX_TEMPFAIL);
	}
	(void)umask(0077);
	environ = (char **)(uintptr_t)variables_of(e, a);
	if (e->kind == HANDOFF_PIPE) {
		words_split(e->what, a, word);
	} else if (words_of(e->what, a, word) == 0) {
		word[0] = shell;
		word[1] = "-c";
		word[2] = arena_copy(a, e->what);
		word[3] = NULL;
	}
	/* execvp() changes none of them, whatever its type says. */
	(void)execvp(word[0], (char *const *)(uintptr_t)word);
	(void)fprintf(stderr, "%s: %s\n", word[0], strerror(errno));
	_exit(EX_TEMPFAIL); /* the administrator's mistake, as Postfix has it */
}

/* ---- beside it ---- */

static void
listen_to(int from, struct buffer *said, bool wait)
{
	char    piece[512];
	ssize_t n;

	(void)fcntl(from, F_SETFL, wait ? 0 : O_NONBLOCK);
	/* What it left behind may write for ever. */
	for (size_t heard = 0; heard < HEARD_MOST && (n = read(from, piece, sizeof piece)) > 0;
	     heard += (size_t)n) {
		size_t room = SAID_MOST - said->len;
		buffer_add(said, (struct bytes){ piece, (size_t)n < room ? (size_t)n : room });
		if (wait)
			return;
	}
}

/* Until it has ended; what it leaves behind may go on.  False: its time is over. */
static bool
watch_over(pid_t pid, int from, int64_t limit_ms, struct buffer *said, int *status)
{
	int64_t until = clock_patient_ms() + limit_ms, left;
	int     end = pidfd_open(pid, 0);

	while ((left = until - clock_patient_ms()) > 0) {
		struct pollfd at[] = { { .fd = end, .events = POLLIN },
			               { .fd = from, .events = POLLIN } };
		(void)poll(at, 2, left > 60000 ? 60000 : (int)left);
		if ((at[1].revents & POLLIN) != 0)
			listen_to(from, said, true);
		else if (at[1].revents != 0)
			from = -1;
		if (waitpid(pid, status, WNOHANG) == pid) {
			if (from >= 0)
				listen_to(from, said, false);
			(void)close(end);
			return true;
		}
	}
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, status, 0);
	(void)close(end);
	return false;
}

/* The letter as a file of its own, read from its beginning. */
static int
letter_text(const struct handoff *e, int letter)
{
	int fd = memfd_create("letter", MFD_CLOEXEC), why;

	if (fd < 0)
		return -1;
	why = handoff_write(e, letter, e->kind == HANDOFF_PIPE ? e->flags : PIPE_FROM, fd);
	if (why == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	(void)close(fd);
	errno = why;
	return -1;
}

/* For words: of a pipe the program. */
static struct bytes
command_name(const struct handoff *e)
{
	ptrdiff_t end = bytes_find(e->what, '\0');

	return end < 0 ? e->what : bytes_cut(e->what, 0, (size_t)end);
}

struct delivery_answer
command_do(const struct handoff *e, int letter, struct arena *a)
{
	struct buffer          said = { 0 };
	struct delivery_answer got;
	struct bytes           name = command_name(e);
	int                    pipes[2], in = letter_text(e, letter), status = 0;
	pid_t                  pid;

	if (in < 0 || pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return answer("4.3.0", arena_printf(a, "the command cannot be started: %s",
		                                    strerror(errno)));
	if (pid == 0)
		become_command(e, in, pipes[1], a);
	(void)close(pipes[1]);
	if (watch_over(pid, pipes[0], e->limit_ms, &said, &status))
		got = command_answer(status, name, buffer_bytes(&said), e->service, a);
	else
		got = answer("5.3.0", arena_printf(a, "Command time limit exceeded: \"%.*s\"",
		                                   (int)name.len, name.at));
	(void)close(pipes[0]);
	(void)close(in);
	buffer_free(&said);
	return got;
}
