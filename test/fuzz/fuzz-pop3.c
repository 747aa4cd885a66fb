/* A POP3 session after login, over a real store (converse.h). */
#include "access/pop3/pop3.h"
#include "base/bytes.h"
#include "channel/loop.h"
#include "message/digest.h"
#include "spool/spool.h"
#include "store/store.h"

#include "converse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	converse_input(true, data, size);
	return 0;
}
