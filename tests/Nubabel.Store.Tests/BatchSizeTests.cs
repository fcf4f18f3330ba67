namespace Nubabel.Store.Tests;

public sealed class BatchSizeTests
{
    private static TimeSpan Ms(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    [Fact]
    public void It_doubles_while_batches_are_full_and_quick_up_to_its_bound()
    {
        var size = new BatchSize(3_000);
        var sizes = new List<int>();
        for (var i = 0; i < 5; i++)
        {
            sizes.Add(size.Events);
            size.Took(size.Events, Ms(10));
        }
        Assert.Equal([500, 1_000, 2_000, 3_000, 3_000], sizes);
    }

    [Fact]
    public void A_batch_that_was_not_full_says_nothing_about_larger_ones()
    {
        var size = new BatchSize(3_000);
        size.Took(20, Ms(1));
        Assert.Equal(500, size.Events);
    }

    [Fact]
    public void A_slow_batch_makes_the_next_one_fit_the_aim()
    {
        var size = new BatchSize(3_000);
        size.Took(500, Ms(750));
        Assert.Equal(100, size.Events);
        size.Took(100, Ms(200));
        Assert.Equal(100, size.Events);
    }

    [Fact]
    public void However_slow_it_is_some_events_go_at_a_time()
    {
        var size = new BatchSize(3_000);
        size.Took(3, Ms(60_000));
        Assert.Equal(BatchSize.Smallest, size.Events);
        Assert.Equal(10, new BatchSize(10).Events);
    }
}
