#!/bin/sh
# Compiles SQLCipher's source in SRC into SRC/libsqlcipher.a, beside SRC/sqlite3.h: for
# packaging/sqlcipher.sh and packaging/rpm/kleroterion.spec.
#
#	packaging/sqlcipher-compile.sh SRC
set -eu

cpu=$(uname -m)
cf=
case $cpu in x86_64) cf=-fcf-protection=full ;; aarch64) cf=-mbranch-protection=standard ;; esac
cd "$1"
./configure --disable-tcl --disable-readline --enable-tempstore=yes \
	CFLAGS="-DSQLITE_HAS_CODEC" LDFLAGS=-lcrypto
make sqlite3.c
# One thread an engine, no extensions, no PRAGMA-only conveniences: what is not compiled
# in cannot be reached.
gcc -c -O2 -g -ffile-prefix-map="$PWD=." -fPIE $cf -fno-strict-aliasing -fstack-protector-strong \
	-fstack-clash-protection -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections \
	-DSQLITE_HAS_CODEC -DSQLCIPHER_CRYPTO_OPENSSL -DSQLITE_TEMP_STORE=2 \
	-DSQLITE_THREADSAFE=0 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_DQS=0 \
	-DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_SHARED_CACHE \
	-DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_MAX_EXPR_DEPTH=100 \
	-DSQLITE_ENABLE_API_ARMOR -DSQLITE_SECURE_DELETE -DHAVE_USLEEP=1 -DHAVE_FDATASYNC=1 \
	-DNDEBUG -o sqlite3.o sqlite3.c
ar rcsD libsqlcipher.a sqlite3.o
