using Microsoft.Extensions.Configuration;
using Nubabel.Api.Commands;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Commands;

public sealed class MasterKeyFileTests
{
    [Fact]
    public async Task Processes_that_start_for_the_first_time_at_once_have_one_key()
    {
        var directory = Directory.CreateTempSubdirectory("nubabel-first-");
        try
        {
            for (var round = 0; round < 50; round++)
            {
                var settings = Settings.Read(new ConfigurationBuilder().Build(), "Development").Settings! with { DataDirectory = Path.Combine(directory.FullName, $"{round}") };
                using var all = new Barrier(8);
                var keys = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
                {
                    all.SignalAndWait();
                    return MasterKeyFile.Of(settings).Fingerprint;
                }, default, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
                Assert.Single(keys.Distinct());
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
