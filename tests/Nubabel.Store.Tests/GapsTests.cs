using FsCheck;
using FsCheck.Fluent;

namespace Nubabel.Store.Tests;

public sealed class GapsTests
{
    [Fact]
    public void Missing_numbers_are_those_below_the_highest_that_were_neither_seen_nor_passed_by_the_mark() =>
        Prop.ForAll<(byte Number, bool IsMark)[]>(steps =>
        {
            var gaps = new Gaps();
            var missing = new SortedSet<long>();
            long highest = 0, expectedHighest = 0;
            foreach (var (number, isMark) in steps)
            {
                if (isMark)
                {
                    gaps.ForgetUpTo(number);
                    missing.RemoveWhere(n => n <= number);
                    continue;
                }
                gaps.See(number, ref highest);
                for (var n = expectedHighest + 1; n < number; n++) missing.Add(n);
                missing.Remove(number);
                expectedHighest = Math.Max(expectedHighest, number);
            }
            var ranges = gaps.Lows.Zip(gaps.Highs).SelectMany(r => Enumerable.Range((int)r.First, (int)(r.Second - r.First + 1))).Select(n => (long)n);
            return ranges.SequenceEqual(missing) && gaps.Count == missing.Count && highest == expectedHighest;
        }).QuickCheckThrowOnFailure();
}
