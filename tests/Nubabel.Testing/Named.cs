using Nubabel.Domain;
using Nubabel.Domain.Devices;

namespace Nubabel.Testing;

/// <summary>Personal values of tests that no edge has sealed: every reader opens them, no key is needed.</summary>
public static class Named
{
    /// <summary>A personal text in the clear.</summary>
    public static Personal Text(string text) => Personal.Unsealed(text);

    /// <summary>A device as its owner would register it.</summary>
    public static RegisterDevice Device(string name, DeviceType type = DeviceType.Web, PublicKey? key = null) => new(Text(DeviceName.Parse(name).Value), Key(name), type, key);

    /// <summary>Another name for a device.</summary>
    public static RenameDevice Renamed(string name) => new(Text(DeviceName.Parse(name).Value), Key(name));

    /// <summary>What the name is unique by; the edge makes a keyed hash of it.</summary>
    public static string Key(string name) => DeviceName.Parse(name).Folded;
}
