namespace Nubabel.Api.Tests.Races;

/// <summary>Many at once, and waiting for what comes in its own time.</summary>
internal static class Burst
{
    /// <summary>Starts all before it waits for any.</summary>
    public static Task<T[]> Of<T>(int count, Func<int, Task<T>> act) => Task.WhenAll(Enumerable.Range(0, count).Select(i => Task.Run(() => act(i))));

    /// <summary>Asks again until it is so, and fails when it is not so in time. Returns how long it took.</summary>
    public static Task<TimeSpan> Until(string what, TimeSpan within, Func<Task<bool>> isSo) => Until(() => what, within, isSo);

    /// <param name="what">Asked when it was not so in time: what was seen last belongs into it.</param>
    public static async Task<TimeSpan> Until(Func<string> what, TimeSpan within, Func<Task<bool>> isSo)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            var elapsed = TimeProvider.System.GetElapsedTime(started);
            if (elapsed >= within) Assert.Fail($"After {elapsed} still not so: {what()}");
            await Task.Delay(10);
        }
        return TimeProvider.System.GetElapsedTime(started);
    }
}
