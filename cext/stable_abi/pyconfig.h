/* Beside Python.h of this directory: a Python without debug macros, which is what the stable ABI is for. */
