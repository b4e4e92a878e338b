// Labs wait far more than they compute, and each has namespaces of its own: three classes at a time.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.Collections, MaxThreads = 3)]
