using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed class UnreadableEventsTests
{
    [Fact]
    public void An_event_is_new_once_and_those_that_are_remembered_are_bounded()
    {
        var events = new UnreadableEvents();
        Assert.Equal([true, false, true, false], ((long[])[7, 7, 8, 7]).Select(events.IsNew));
        for (var position = 100; position < 1_100; position++) Assert.True(events.IsNew(position));
        Assert.True(events.IsNew(7));
    }
}
