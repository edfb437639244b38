#!/bin/sh
# Lay out Debian's clang-22, lld-22, wasi-libc and libclang-rt-22-dev-wasm32 in the shape of a wasi-sdk.
#
#     apt-get install --no-install-recommends clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32
#     build/wasi_sdk_from_debian.sh /opt/wasi-sdk
#     WASI_SDK_PATH=/opt/wasi-sdk pip install .
#
# Only symbolic links are made. LLVM_VERSION chooses another version of clang.
set -eu

version=${LLVM_VERSION:-22}
llvm=/usr/lib/llvm-$version/bin
target=${1:?usage: wasi_sdk_from_debian.sh DIRECTORY}
packages="clang-$version lld-$version wasi-libc libclang-rt-$version-dev-wasm32"

for part in "$llvm/clang" "$llvm/wasm-ld" /usr/include/wasm32-wasi/stdio.h /usr/lib/wasm32-wasi/libc.a \
	"/usr/lib/llvm-$version/lib/clang/$version/lib/wasi/libclang_rt.builtins-wasm32.a"; do
	if [ ! -e "$part" ]; then
		echo "$part is missing: run apt-get install $packages" >&2
		exit 1
	fi
done

sysroot=$target/share/wasi-sysroot
mkdir -p "$target/bin" "$sysroot/include" "$sysroot/lib"
ln -sfn "$llvm/clang" "$target/bin/clang"
ln -sfn "$llvm/wasm-ld" "$target/bin/wasm-ld"
ln -sfn /usr/include/wasm32-wasi "$sysroot/include/wasm32-wasi"
ln -sfn /usr/lib/wasm32-wasi "$sysroot/lib/wasm32-wasi"
echo "$target"
