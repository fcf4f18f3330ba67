using System.Diagnostics;

namespace Nubabel.Store.Tests;

public sealed class SightingsTests
{
    [Fact]
    public void A_log_that_ends_earlier_is_another_one_and_what_was_seen_beyond_its_end_is_not_waited_for()
    {
        var sightings = new Sightings();
        foreach (var (highest, at) in ((long, long)[])[(10, 1), (20, 2), (30, 3)]) sightings.See(highest, At(at));
        Assert.Equal((TimeSpan.FromSeconds(6), TimeSpan.FromSeconds(5), TimeSpan.Zero), (Behind(10), Behind(20), Behind(30)));

        sightings.See(15, At(5));
        sightings.See(15, At(6));
        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.Zero), (Behind(10), Behind(15)));
        sightings.See(18, At(7));
        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1), TimeSpan.Zero), (Behind(10), Behind(15), Behind(18)));

        TimeSpan Behind(long position) => sightings.Behind(position, At(8));

        static long At(long second) => second * Stopwatch.Frequency;
    }
}
