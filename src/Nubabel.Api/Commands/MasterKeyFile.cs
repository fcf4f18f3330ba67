using System.Security.Cryptography;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>The master keys: from the configuration, or in Development from a file that the first start makes.</summary>
public static class MasterKeyFile
{
    public static MasterKeys Of(Settings settings) => new(Configured(settings), settings.PreviousMasterKey is { } previous ? new MasterKey([.. previous]) : null);

    private static MasterKey Configured(Settings settings)
    {
        if (settings.MasterKey is { } configured) return new MasterKey([.. configured]);
        if (!settings.IsDevelopment) throw new InvalidOperationException("Settings let no other environment through without a master key.");
        var path = Path.Combine(settings.DataDirectory, "master.key");
        // Only the first of several processes makes it; none ever overwrites it, or finds half of it.
        if (!File.Exists(path)) PrivateFile.TryMake(path, System.Text.Encoding.ASCII.GetBytes(Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)) + "\n"));
        return new MasterKey(Convert.FromBase64String(File.ReadAllText(path).Trim()));
    }
}
