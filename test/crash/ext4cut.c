// SPDX-License-Identifier: ISC
//
// ext4cut: pulls the plug of a mounted ext4.
//
//	ext4cut [--flush] MOUNTPOINT
//
// Asks the kernel to shut the file system down at once, as it would after a
// fatal error of the disk: from then on every call fails with EIO and nothing
// more is written.  Without --flush the journal that is still in memory is lost
// too, which is what a power cut does; with it the journal is written out
// first.  Unmount and mount again, and ext4 replays what its journal has.
//
// Kill whoever writes there first.  An fdatasync that is under way while the
// file system shuts down may return success although its journal commit was
// dropped (seen on Linux 6.18 with a program of ten lines: one record too many
// acknowledged in one cut of six).  That is this ioctl's fault and not a power
// cut's, and no program can defend itself against it; forgetfs cuts in the
// middle of an fsync and tells the truth.
//
// To have one to cut:
//
//	truncate -s 512M image && mkfs.ext4 -q image
//	mount -o loop image /mnt && ext4cut /mnt && umount /mnt

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// From the kernel's ext4.h, which is not among its exported headers.
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)

enum {
	FLUSH_LOG = 1,		// write the journal, then stop
	FORGET_LOG = 2,		// stop
};

int
main(int argc, char **argv)
{
	int flush = argc == 3 && strcmp(argv[1], "--flush") == 0;
	if (argc != 2 + flush) {
		fputs("usage: ext4cut [--flush] MOUNTPOINT\n", stderr);
		return 2;
	}
	const char *path = argv[argc - 1];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t how = flush ? FLUSH_LOG : FORGET_LOG;
	if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &how) < 0) {
		fprintf(stderr, "ext4cut: %s: %s\n", path, strerror(errno));
		return 1;
	}
	close(fd);
	return 0;
}
