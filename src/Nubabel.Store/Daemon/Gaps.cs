namespace Nubabel.Store;

/// <summary>Numbers below the highest seen that were not visible, as ranges in ascending order.</summary>
internal sealed class Gaps
{
    private readonly List<(long Low, long High)> ranges = [];

    public int Ranges => ranges.Count;
    public long Count { get; private set; }
    public long[] Lows => [.. ranges.Select(r => r.Low)];
    public long[] Highs => [.. ranges.Select(r => r.High)];

    /// <summary>A number was visible: it is no longer missing, or it is the new highest and what lies between is missing.</summary>
    public void See(long number, ref long highest)
    {
        if (number > highest)
        {
            if (number > highest + 1) Add(highest + 1, number - 1);
            Interlocked.Exchange(ref highest, number);
            return;
        }
        var at = ranges.FindIndex(r => r.Low <= number && number <= r.High);
        if (at < 0) return;
        var (low, high) = ranges[at];
        ranges.RemoveAt(at);
        if (number < high) ranges.Insert(at, (number + 1, high));
        if (low < number) ranges.Insert(at, (low, number - 1));
        Count--;
    }

    /// <summary>Everything up to the mark is visible or will never be.</summary>
    public void ForgetUpTo(long mark)
    {
        while (ranges.Count > 0 && ranges[0].Low <= mark)
        {
            var (low, high) = ranges[0];
            ranges.RemoveAt(0);
            Count -= Math.Min(high, mark) - low + 1;
            if (high > mark) ranges.Insert(0, (mark + 1, high));
        }
    }

    private void Add(long low, long high)
    {
        ranges.Add((low, high));
        Count += high - low + 1;
    }
}
