/*
 * chains -- whether the certificates that settings name can be shown: config check and reload ask before a server does
 *
 * Touches:  files of certificates and private keys, which are read and forgotten
 *
 * chains_check()  every listener's and every transport's, each file once; false after saying what is wrong with one that
 *     settings name.  Of tls_certificate_directories, where others come and go, it is only warned.
 */
#ifndef COMMAND_CHAINS_H
#define COMMAND_CHAINS_H

#include "base/setting.h"

bool chains_check(struct settings *, bool *warned);

#endif
