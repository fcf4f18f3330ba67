using System.Diagnostics;

namespace Nubabel.Store.Tests;

/// <summary>Waiting for what comes in its own time, with a bound.</summary>
internal static class TestWait
{
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);

    /// <summary>Asks again until it is so, and fails when it is not so in time. Returns how long it took.</summary>
    public static async Task<TimeSpan> Until(string what, Func<Task<bool>> isSo, TimeSpan? within = null)
    {
        var clock = Stopwatch.StartNew();
        while (!await isSo())
        {
            Assert.True(clock.Elapsed < (within ?? Bound), $"After {clock.Elapsed} still not so: {what}");
            await Task.Delay(10);
        }
        return clock.Elapsed;
    }
}
