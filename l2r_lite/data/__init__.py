"""Problems, and what is read of texts: own files, benchmarks, answers, arithmetic, pocket world."""
