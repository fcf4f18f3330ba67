using System.Runtime.CompilerServices;

namespace Nubabel.Testing;

/// <summary>Test hosts block threads of the pool; on a machine with two cores the pool would otherwise grow by one thread a second and every wait would stall.</summary>
internal static class ThreadPoolStart
{
    private const int Threads = 32;

#pragma warning disable CA2255 // A test harness is an application of its own kind: it must come before any test.
    [ModuleInitializer]
    internal static void Grow() => ThreadPool.SetMinThreads(Threads, Threads);
#pragma warning restore CA2255
}
