"""Where searches run: reference (numpy), cpu (C++ extension), cuda (CuPy)."""
