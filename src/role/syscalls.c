#include "role/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

/* clang-format off */
/* A call and the groups that have it. */
static const struct row {
	unsigned    groups;
	const char *name;
} rows[] = {
	/* bytes */
	{ SYSCALLS_LIVE, "read" }, { SYSCALLS_LIVE, "write" }, { SYSCALLS_LIVE, "readv" },
	{ SYSCALLS_LIVE, "writev" }, { SYSCALLS_LIVE, "pread64" }, { SYSCALLS_LIVE, "preadv" },
	{ SYSCALLS_LIVE, "close" }, { SYSCALLS_LIVE, "lseek" }, { SYSCALLS_LIVE, "fstat" },
	{ SYSCALLS_LIVE, "dup" },
	/* sockets that are open */
	{ SYSCALLS_LIVE, "recvmsg" }, { SYSCALLS_LIVE, "sendmsg" }, { SYSCALLS_LIVE, "recvfrom" },
	{ SYSCALLS_LIVE, "sendto" }, { SYSCALLS_LIVE, "sendmmsg" }, { SYSCALLS_LIVE, "sendfile" },
	{ SYSCALLS_LIVE, "shutdown" }, { SYSCALLS_LIVE, "getsockname" }, { SYSCALLS_LIVE, "getpeername" },
	{ SYSCALLS_LIVE, "getsockopt" }, { SYSCALLS_LIVE, "setsockopt" },
	/* waiting */
	{ SYSCALLS_LIVE, "epoll_ctl" }, { SYSCALLS_LIVE, "epoll_wait" }, { SYSCALLS_LIVE, "epoll_pwait" },
	{ SYSCALLS_LIVE, "epoll_pwait2" }, { SYSCALLS_LIVE, "poll" }, { SYSCALLS_LIVE, "ppoll" },
	{ SYSCALLS_LIVE, "eventfd2" }, { SYSCALLS_LIVE, "timerfd_create" },
	{ SYSCALLS_LIVE, "timerfd_settime" }, { SYSCALLS_LIVE, "nanosleep" },
	{ SYSCALLS_LIVE, "clock_nanosleep" }, { SYSCALLS_LIVE, "restart_syscall" },
	{ SYSCALLS_LIVE, "futex" }, { SYSCALLS_LIVE, "sched_yield" },
	/* time, chance, who we are */
	{ SYSCALLS_LIVE, "clock_gettime" }, { SYSCALLS_LIVE, "clock_getres" },
	{ SYSCALLS_LIVE, "gettimeofday" }, { SYSCALLS_LIVE, "time" }, { SYSCALLS_LIVE, "getrandom" },
	{ SYSCALLS_LIVE, "getpid" }, { SYSCALLS_LIVE, "gettid" }, { SYSCALLS_LIVE, "getppid" },
	{ SYSCALLS_LIVE, "getuid" }, { SYSCALLS_LIVE, "geteuid" }, { SYSCALLS_LIVE, "getgid" },
	{ SYSCALLS_LIVE, "getegid" }, { SYSCALLS_LIVE, "getrusage" }, { SYSCALLS_LIVE, "uname" },
	{ SYSCALLS_LIVE, "sysinfo" }, { SYSCALLS_LIVE, "getcpu" },
	/* memory */
	{ SYSCALLS_LIVE, "brk" }, { SYSCALLS_LIVE, "munmap" }, { SYSCALLS_LIVE, "mremap" },
	{ SYSCALLS_LIVE, "madvise" },
	/* threads that are still starting, signals, the end */
	{ SYSCALLS_LIVE, "rseq" }, { SYSCALLS_LIVE, "set_robust_list" },
	{ SYSCALLS_LIVE, "sched_getaffinity" }, { SYSCALLS_LIVE, "rt_sigaction" },
	{ SYSCALLS_LIVE, "rt_sigprocmask" }, { SYSCALLS_LIVE, "rt_sigreturn" },
	{ SYSCALLS_LIVE, "sigaltstack" }, { SYSCALLS_LIVE, "exit" }, { SYSCALLS_LIVE, "exit_group" },

	{ SYSCALLS_ACCEPT, "accept4" },

	{ SYSCALLS_WRITE | SYSCALLS_FILES, "pwrite64" }, { SYSCALLS_WRITE | SYSCALLS_FILES, "pwritev" },
	{ SYSCALLS_WRITE | SYSCALLS_FILES, "fdatasync" }, { SYSCALLS_WRITE | SYSCALLS_FILES, "fsync" },
	{ SYSCALLS_WRITE | SYSCALLS_FILES, "ftruncate" }, { SYSCALLS_WRITE | SYSCALLS_FILES, "fallocate" },
	{ SYSCALLS_WRITE | SYSCALLS_FILES, "sync_file_range" },
	{ SYSCALLS_WRITE | SYSCALLS_FILES, "fadvise64" }, { SYSCALLS_WRITE | SYSCALLS_FILES, "preadv2" }, { SYSCALLS_WRITE | SYSCALLS_FILES, "fstatfs" },

	{ SYSCALLS_FILES | SYSCALLS_LOOK, "open" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "openat" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "openat2" },
	{ SYSCALLS_FILES | SYSCALLS_LOOK, "stat" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "lstat" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "newfstatat" },
	{ SYSCALLS_FILES | SYSCALLS_LOOK, "statx" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "statfs" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "access" },
	{ SYSCALLS_FILES | SYSCALLS_LOOK, "faccessat" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "faccessat2" },
	{ SYSCALLS_FILES | SYSCALLS_LOOK, "readlink" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "readlinkat" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "getcwd" },
	{ SYSCALLS_FILES | SYSCALLS_LOOK, "getdents64" }, { SYSCALLS_FILES, "mkdir" }, { SYSCALLS_FILES, "mkdirat" },
	{ SYSCALLS_FILES, "rmdir" }, { SYSCALLS_FILES, "unlink" }, { SYSCALLS_FILES, "unlinkat" },
	{ SYSCALLS_FILES, "rename" }, { SYSCALLS_FILES, "renameat" }, { SYSCALLS_FILES, "renameat2" },
	{ SYSCALLS_FILES, "fchmod" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "umask" }, { SYSCALLS_FILES | SYSCALLS_LOOK, "flock" },
	{ SYSCALLS_FILES, "syncfs" }, { SYSCALLS_FILES, "copy_file_range" },
	{ SYSCALLS_FILES, "linkat" }, { SYSCALLS_FILES, "memfd_create" },
	{ SYSCALLS_FILES, "inotify_init1" }, { SYSCALLS_FILES, "inotify_add_watch" },
	{ SYSCALLS_FILES, "inotify_rm_watch" },
	{ SYSCALLS_FILES, "truncate" }, { SYSCALLS_FILES, "utimensat" },

	{ SYSCALLS_SECRETS, "mlock" }, { SYSCALLS_SECRETS, "mlock2" }, { SYSCALLS_SECRETS, "munlock" },

	{ SYSCALLS_PATIENCE, "setitimer" },

	{ SYSCALLS_ASK, "bind" }, { SYSCALLS_ASK, "connect" },

	{ SYSCALLS_CLIENT, "recvmmsg" }, { SYSCALLS_CLIENT, "select" }, { SYSCALLS_CLIENT, "pselect6" },
	{ SYSCALLS_CLIENT, "pipe2" }, { SYSCALLS_CLIENT, "fstatfs" }, { SYSCALLS_CLIENT, "fadvise64" },
	{ SYSCALLS_CLIENT, "getresuid" }, { SYSCALLS_CLIENT, "getresgid" }, { SYSCALLS_CLIENT, "getgroups" },
	{ SYSCALLS_CLIENT, "prlimit64" },
};
/* clang-format on */

static int
allow(scmp_filter_ctx c, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* Not every machine has every old call. */
	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(c, SCMP_ACT_ALLOW, number, 0);
}

/* Threads, but no processes; plug-ins out of files, but no code that is made here. */
static int
allow_client(scmp_filter_ctx c)
{
	int n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	/* Its arguments cannot be seen: libc takes clone() instead. */
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_NETLINK));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		                     SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0));
	return n;
}

/* Calls that are allowed with some arguments only. */
static int
allow_some(scmp_filter_ctx c, unsigned groups)
{
	static const unsigned commands[] = {
		F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,  F_SETFD,     F_GETFL,     F_SETFL,
		F_GETLK, F_SETLK,         F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
	};
	static const unsigned controls[] = { FIONBIO, FIOCLEX, FIONREAD };
	int                   n = 0;

	for (size_t i = 0; i < COUNT(commands) && n == 0; i++)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		                     SCMP_A1_32(SCMP_CMP_EQ, commands[i]));
	for (size_t i = 0; i < COUNT(controls) && n == 0; i++)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
		                     SCMP_A1_32(SCMP_CMP_EQ, controls[i]));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		                     SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		                     SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid()));
	if (n == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME));
	if (n == 0 && (groups & (SYSCALLS_FILES | SYSCALLS_LOOK)) == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		                     SCMP_A3_32(SCMP_CMP_EQ, AT_EMPTY_PATH));
	if (n == 0 && (groups & SYSCALLS_PAIR) != 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (n == 0 && (groups & SYSCALLS_LOCAL) != 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (n == 0 && (groups & SYSCALLS_ASK) != 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_INET));
	if (n == 0 && (groups & SYSCALLS_ASK) != 0)
		n = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, AF_INET6));
	return n;
}

static int
fill(scmp_filter_ctx c, unsigned groups)
{
	int n = seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);

	if (n == 0)
		n = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (n == 0)
		n = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < COUNT(rows) && n == 0; i++)
		if ((rows[i].groups & groups) != 0)
			n = allow(c, rows[i].name);
	if (n == 0)
		n = allow_some(c, groups);
	if (n == 0 && (groups & SYSCALLS_CLIENT) != 0)
		n = allow_client(c);
	if (n == 0 && (groups & SYSCALLS_ASK) == 0)
		n = seccomp_rule_add(c, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(connect), 0);
	return n == 0 ? seccomp_load(c) : n;
}

int
syscalls_close(unsigned groups)
{
	scmp_filter_ctx c = seccomp_init((groups & SYSCALLS_CLIENT) != 0 ? SCMP_ACT_ERRNO(EPERM)
	                                                                 : SCMP_ACT_KILL_PROCESS);
	int             n;

	if (c == NULL)
		return errno = ENOMEM, -1;
	n = fill(c, groups);
	seccomp_release(c);
	if (n < 0)
		errno = -n;
	return n < 0 ? -1 : 0;
}
