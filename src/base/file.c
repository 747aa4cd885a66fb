#include "base/file.h"

#include <errno.h>
#include <unistd.h>

enum { PIECE = 16 << 10 };

int
file_read(int fd, size_t most, struct buffer *out)
{
	for (size_t came = 0; came < most;) {
		ssize_t n = read(fd, buffer_room(out, PIECE), PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		buffer_took(out, (size_t)n);
		came += (size_t)n;
	}
	return EFBIG;
}

int
file_write(int fd, struct bytes b)
{
	while (b.len > 0) {
		ssize_t n = write(fd, b.at, b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		b = bytes_cut(b, (size_t)n, SIZE_MAX);
	}
	return 0;
}
