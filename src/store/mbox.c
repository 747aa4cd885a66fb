#include "store/foreign.h"
const struct driver mbox_driver = { .name = "mbox" };
