/* A process of each role, in its cage, tries what a thief would try. */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role/confine.h"
#include "role/estate.h"

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif

static char                   directory[] = "/tmp/mansio-unit-XXXXXX";
static struct common_settings common;

/* What is tried: 0 it was done, else errno; most do not live to tell. */
static int
try_open(const char *root)
{
	(void)root;
	return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int
try_create(const char *root)
{
	(void)root;
	return open("/thief", O_CREAT | O_WRONLY, 0600) < 0 ? errno : 0;
}

static int
try_socket(const char *root)
{
	(void)root;
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int
try_unix(const char *root)
{
	(void)root;
	return socket(AF_UNIX, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int
try_execute(const char *root)
{
	char *argv[] = { NULL };

	(void)root;
	return execv("/bin/true", argv) < 0 ? errno : 0;
}

static int
try_fork(const char *root)
{
	pid_t pid = fork();

	(void)root;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int
try_trace(const char *root)
{
	(void)root;
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0 ? errno : 0;
}

static int
try_kill(const char *root)
{
	(void)root;
	return kill(getppid(), SIGUSR2) < 0 ? errno : 0;
}

static int
try_root(const char *root)
{
	(void)root;
	return setresuid(0, 0, 0) < 0 ? errno : 0;
}

static int
try_mount(const char *root)
{
	(void)root;
	return mount("none", "/", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int
try_namespace(const char *root)
{
	(void)root;
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int
try_code(const char *root)
{
	(void)root;
	return mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	                       MAP_FAILED
	               ? errno
	               : 0;
}

static int
try_connect(const char *root)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	(void)root;
	return connect(STDERR_FILENO, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
}

/* A server at a port that is not the resolver's; it need not be there. */
static int
connect_to(int family, const void *to, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0);

	return fd < 0 || connect(fd, to, len) < 0 ? errno : 0;
}

static int
try_other_port(const char *root)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(25),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)root;
	return connect_to(AF_INET, &to, sizeof to);
}

/* Nobody listens at port 1. */
static int
try_resolver(const char *root)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(1),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)root;
	return connect_to(AF_INET, &to, sizeof to);
}

static int
try_listen(const char *root)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)root;
	return listen(fd, 1) < 0 ? errno : 0;
}

/* What each must be able to do. */
static int
try_memory(const char *root)
{
	void *at = malloc((size_t)1 << 22);

	(void)root;
	if (at == NULL)
		return errno;
	memset(at, 1, (size_t)1 << 22);
	free(at);
	return 0;
}

static int
write_under(const char *root, const char *path)
{
	char whole[256];
	int  fd, why = 0;

	(void)snprintf(whole, sizeof whole, "%s/%s/unit", root, path);
	if ((fd = open(whole, O_CREAT | O_WRONLY | O_TRUNC, 0600)) < 0)
		return errno;
	if (write(fd, "x", 1) != 1 || fdatasync(fd) < 0)
		why = errno;
	(void)close(fd);
	if (unlink(whole) < 0)
		why = errno;
	return why;
}

static int
try_spool(const char *root)
{
	return write_under(root, "spool");
}

static int
try_letters(const char *root)
{
	return write_under(root, "spool/letters");
}

static int
try_store(const char *root)
{
	return write_under(root, "store");
}

static int
try_directory(const char *root)
{
	return write_under(root, "directory");
}

enum { DIES = -1, FAILS = -2, DONE = 0 };
/* Role proxymap and the certifier have libraries that try much: they are refused, and do not die. */
#define CLIENTS (FROM(PROXYMAP) | FROM(CERTIFIER))
#define EVERYBODY (ANYONE & ~FROM(PAM) & ~CLIENTS)
/* Senders connect to anybody. */
#define OUTGOING (FROM(SENDER))
#define OPENERS (FROM(QUEUE) | FROM(KEEPER) | FROM(CLERK) | FROM(POLICY) | FROM(CHRONICLE))

static const struct deed {
	const char *why;
	int (*try)(const char *root);
	unsigned roles;
	int      outcome;
} deeds[] = {
	{ "memory is there", try_memory, EVERYBODY, DONE },
	{ "threats: no open in a front, a parser or the signer", try_open, EVERYBODY & ~OPENERS,
	  DIES },
	{ "an opener sees nothing but its own", try_open, OPENERS, FAILS },
	{ "nor makes anything elsewhere", try_create, OPENERS, FAILS },
	{ "threats: no socket", try_socket, EVERYBODY & ~OUTGOING, DIES },
	{ "nor a local one", try_unix, EVERYBODY & ~OUTGOING, DIES },
	{ "threats: no execve", try_execute, EVERYBODY, DIES },
	{ "no process of its own", try_fork, EVERYBODY, DIES },
	{ "no look into another", try_trace, EVERYBODY, DIES },
	{ "no signal to another", try_kill, EVERYBODY, DIES },
	{ "no way to be root", try_root, EVERYBODY, DIES },
	{ "no mount", try_mount, EVERYBODY, DIES },
	{ "no namespace with new rights", try_namespace, EVERYBODY, DIES },
	{ "no code that was not there", try_code, EVERYBODY, DIES },
	{ "connect is refused, not fatal: the journal tries it", try_connect, EVERYBODY & ~OUTGOING, EACCES },
	{ "a sender makes sockets to connect", try_socket, OUTGOING, DONE },
	{ "and local ones", try_unix, OUTGOING, DONE },
	{ "but listens on none", try_listen, OUTGOING, DIES },
	{ "no letters but those it is given", try_letters, OUTGOING, DIES },
	{ "the queue has the spool", try_spool, FROM(QUEUE), DONE },
	{ "and the letters in it", try_letters, FROM(QUEUE), DONE },
	{ "but no mailbox", try_store, FROM(QUEUE), FAILS },
	{ "nor the passwords", try_directory, FROM(QUEUE), FAILS },
	{ "a keeper has the mailboxes", try_store, FROM(KEEPER), DONE },
	{ "and reads letters, but writes none", try_letters, FROM(KEEPER), FAILS },
	{ "nor passwords", try_directory, FROM(KEEPER), FAILS },
	{ "the clerk has the directory", try_directory, FROM(CLERK), DONE },
	{ "but no mailbox", try_store, FROM(CLERK), FAILS },
	{ "nor a letter", try_spool, FROM(CLERK), FAILS },
	{ "modules of PAM read what they need", try_open, FROM(PAM), DONE },
	{ "but mount nothing", try_mount, FROM(PAM), FAILS },
	{ "who asks databases has memory", try_memory, CLIENTS, DONE },
	{ "and reads what libraries read", try_open, CLIENTS, DONE },
	{ "but makes no file", try_create, CLIENTS, FAILS },
	{ "makes sockets to connect", try_socket, CLIENTS, DONE },
	{ "and local ones", try_unix, CLIENTS, DONE },
	{ "but listens on none", try_listen, CLIENTS, FAILS },
	{ "no other port than those its tables name", try_other_port, FROM(PROXYMAP), FAILS },
	{ "no execve", try_execute, CLIENTS, EPERM },
	{ "threads, but no process", try_fork, CLIENTS, EPERM },
	{ "no look into another", try_trace, CLIENTS, EPERM },
	{ "no signal to another", try_kill, CLIENTS, EPERM },
	{ "no way to be root", try_root, CLIENTS, EPERM },
	{ "no mount", try_mount, CLIENTS, EPERM },
	{ "no namespace with new rights", try_namespace, CLIENTS, EPERM },
	{ "no code that was not there", try_code, CLIENTS, EPERM },
	{ "no letters", try_letters, CLIENTS, FAILS },
	{ "no mailbox", try_store, CLIENTS, FAILS },
	{ "no passwords", try_directory, CLIENTS, FAILS },
};

/* In a process of its own: 0..254 what was tried gave, 255 the cage did not close. */
static _Noreturn void
be(enum role role, const struct deed *d)
{
	const char   *root;
	struct buffer words = { 0 }, errors = { 0 };

	if (!confine_enter(role, NULL, &common, &root, &words, &errors) ||
	    !confine_close(role, &common, &words, &errors))
		_exit(255);
	_exit(d->try(root) & 0x7f);
}

static void
one_deed(const struct deed *d, enum role role)
{
	char  why[160];
	int   status;
	pid_t pid = fork();

	if (pid == 0)
		be(role, d);
	(void)snprintf(why, sizeof why, "%s (%s)", d->why, role_names[role]);
	HOLDS(why, pid > 0 && waitpid(pid, &status, 0) == pid);
	if (d->outcome == DIES) {
		HOLDS(why, WIFSIGNALED(status));
		HOLDS(why, WTERMSIG(status) == SIGSYS);
		return;
	}
	HOLDS(why, WIFEXITED(status));
	HOLDS(why, WEXITSTATUS(status) != 255);
	if (d->outcome == FAILS)
		HOLDS(why, WEXITSTATUS(status) != 0);
	else
		HOLDS(why, WEXITSTATUS(status) == d->outcome);
}

static void
test_cages(void **state)
{
	struct buffer errors = { 0 };

	(void)state;
	if (WATCHED)
		skip();
	HOLDS("a directory", mkdtemp(directory) != NULL && chmod(directory, 0755) == 0);
	common = (struct common_settings){ .mail_directory = directory,
		                           .mail_owner = "mansio-unit",
		                           .dns_resolver = "none",
		                           .role_account_base = 61184 };
	HOLDS("directories", estate_make_directories(&common, &errors));
	for (size_t i = 0; i < COUNT(deeds); i++)
		for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
			if ((deeds[i].roles & FROM(role)) != 0)
				one_deed(&deeds[i], role);
	buffer_free(&errors);
}

/* The cage of a verifier that asks names: sockets for IP, and nothing else more. */
static void
test_cage_that_asks(void **state)
{
	static const struct deed asking[] = {
		{ "it may ask the resolver", try_resolver, FROM(VERIFIER), ECONNREFUSED },
		{ "it may not listen", try_listen, FROM(VERIFIER), DIES },
		{ "threats: no other server, where the kernel tells ports apart", try_other_port,
		  FROM(VERIFIER), FAILS },
	};

	(void)state;
	if (WATCHED)
		skip();
	common.dns_resolver = "127.0.0.1:1";
	for (size_t i = 0; i < COUNT(asking); i++)
		one_deed(&asking[i], VERIFIER);
	for (size_t i = 0; i < COUNT(deeds); i++)
		if ((deeds[i].roles & FROM(VERIFIER)) != 0 && deeds[i].try != try_socket &&
		    deeds[i].try != try_connect)
			one_deed(&deeds[i], VERIFIER);
	for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
		HOLDS(role_names[role], (confine_asks(role, &common) != 0) == (role == VERIFIER || role == POLICY));
	common.dns_resolver = "none";
}

static void
test_sweep(void **state)
{
	static const char *const places[] = {
		"run",       "empty", "spool/letters", "spool", "store/accounts", "store",
		"directory", "certificates", "",
	};
	char path[256];

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, places[i]);
		(void)rmdir(path);
	}
}

/* As it happens elsewhere: an own account for each role, none of them root's. */
static void
test_accounts(void **state)
{
	static const struct common_settings none = { .mail_owner = "mansio-unit-nobody",
		                                     .role_account_base = 61184 };
	char                                name[64];

	(void)state;
	for (enum role a = POSTMASTER + 1; a < COMMAND; a++) {
		struct role_account account = role_account(a, &none);
		HOLDS(role_names[a], account.uid >= 61184 && account.uid == account.gid);
		for (enum role b = POSTMASTER + 1; b < a; b++)
			HOLDS(role_names[a], role_account(b, &none).uid != account.uid);
	}
	role_account_name(VERIFIER, &none, name);
	SAME("the name of an account", bytes_of(name), BYTES("mansio-unit-nobody-verify"));
}

UNIT(test_accounts, test_cages, test_cage_that_asks, test_sweep)
