"""Problems and what is read of texts: benchmarks, own files, answers, arithmetic, the pocket world."""
