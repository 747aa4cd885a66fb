/*
 * syscalls -- what a process may still ask of the kernel (seccomp(2))
 *
 * syscalls_close()  from now on, for every thread: only the calls of these groups; any
 *     other ends the process (with SYSCALLS_CLIENT: is refused).  0, or -1 with errno.  Needs PR_SET_NO_NEW_PRIVS.
 *
 * No group has listen, execve, fork, ptrace, mount, setuid, or
 * memory that is executable; socket, bind and connect for IP alone are in SYSCALLS_ASK.  Without
 * that connect is refused rather than fatal: the journal
 * tries it when syslogd was restarted, and is given a new socket instead.
 */
#ifndef ROLE_SYSCALLS_H
#define ROLE_SYSCALLS_H

enum syscall_group {
	SYSCALLS_LIVE    = 1 << 0,    /* memory, time, the loop, sockets we were given      */
	SYSCALLS_ACCEPT  = 1 << 1,    /* connections of listening sockets we were given     */
	SYSCALLS_PAIR    = 1 << 2,    /* pairs of unix sockets                              */
	SYSCALLS_WRITE   = 1 << 3,    /* to files that are open: length, safety             */
	SYSCALLS_FILES   = 1 << 4,    /* open, make, rename and remove files                */
	SYSCALLS_SECRETS = 1 << 5,    /* memory that is never swapped                       */
	SYSCALLS_PATIENCE = 1 << 6,   /* a bound on our own time                            */
	SYSCALLS_ASK     = 1 << 7,    /* sockets of our own for IP, to ask a server         */
	SYSCALLS_LOOK    = 1 << 8,    /* open files to read, see what there is              */
	SYSCALLS_LOCAL   = 1 << 10,   /* with ASK: local sockets, too                       */
	SYSCALLS_CLIENT  = 1 << 9,    /* what libraries of clients want: threads, plug-ins, local sockets */
};
int syscalls_close(unsigned groups);

#endif
