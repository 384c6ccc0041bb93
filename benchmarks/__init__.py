"""The benchmarks; `README.md` here says what each one measures."""
